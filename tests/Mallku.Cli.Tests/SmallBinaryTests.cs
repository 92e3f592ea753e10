using System.Text;

namespace Mallku.Cli.Tests;

/// <summary>What every start of <c>mallku</c> would pay for is in the program beside it.</summary>
public sealed class SmallBinaryTests
{
    [Theory]
    [InlineData("mallku", false)]
    [InlineData("mallku-providers", true)]
    public void Only_the_second_program_carries_shared_stores(string program, bool carries)
    {
        ReadOnlySpan<byte> binary = File.ReadAllBytes(Path.Combine(NativeBinary.Folder, program));

        // under which a store's index key is derived
        Assert.Equal(carries, binary.IndexOf("mallku/v1/store-index"u8) >= 0 || binary.IndexOf(Encoding.Unicode.GetBytes("mallku/v1/store-index")) >= 0);
    }
}
