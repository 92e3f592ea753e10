using Mallku.Secrets.Crypto;

namespace Mallku.Secrets.Tests.Crypto;

public sealed class ScratchMemoryTests
{
    [Theory]
    [InlineData(16)]
    [InlineData(100_000)]
    public async Task Nobody_sees_what_another_one_has_written(int length)
    {
        await Task.WhenAll(Enumerable.Range(1, 8).Select(caller => Task.Run(() =>
        {
            for (var i = 0; i < 2_000; i++)
            {
                var memory = ScratchMemory.Rent(length);
                Assert.True(memory.Length >= length);
                Assert.False(memory.AsSpan().ContainsAnyExcept((byte)0));
                memory.AsSpan(0, length).Fill((byte)caller);
                Assert.False(memory.AsSpan(0, length).ContainsAnyExcept((byte)caller));
                ScratchMemory.Return(memory, length);
            }
        })));
    }
}
