using System.Security.Cryptography;
using Mallku.Secrets.Storage;

namespace Mallku.Secrets.Tests.Storage;

/// <summary>What this machine has seen of a store is a note, and what was not written whole into it is none.</summary>
public sealed class SeenGenerationsTests : IDisposable
{
    private const string One = "00112233445566778899aabbccddeeff", Other = "ffeeddccbbaa99887766554433221100";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mallku-seen-");

    private string File => Path.Combine(_folder.FullName, "seen");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_largest_that_was_noted_is_known_to_every_process()
    {
        var seen = new SeenGenerations(File);
        seen.Note(One, 1);
        new SeenGenerations(File).Note(One, 3);
        new SeenGenerations(File).Note(One, 2);
        new SeenGenerations(File).Note(Other, long.MaxValue);
        Assert.Equal((3, long.MaxValue), (new SeenGenerations(File).Get(One), new SeenGenerations(File).Get(Other)));
        Assert.Equal([One, Other], new SeenGenerations(File).Ids.Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    [Fact]
    public void It_stays_small_and_loses_nothing()
    {
        for (var i = 1; i <= 3000; i++)
        {
            new SeenGenerations(File).Note(i % 2 == 0 ? One : Other, i);
        }

        Assert.Equal((3000, 2999), (new SeenGenerations(File).Get(One), new SeenGenerations(File).Get(Other)));
        Assert.InRange(new FileInfo(File).Length, 1, 64 * 1024);
    }

    [Fact]
    public void What_a_loss_of_power_leaves_of_it_counts_for_nothing()
    {
        new SeenGenerations(File).Note(One, 3);
        var whole = System.IO.File.ReadAllBytes(File);
        new SeenGenerations(File).Note(Other, 7);
        var both = System.IO.File.ReadAllBytes(File);

        // any part of what was appended is there, and zeros or something else are in the place of the rest
        for (var from = whole.Length; from <= both.Length; from++)
        {
            for (var to = from; to <= both.Length; to++)
            {
                foreach (var rest in new[] { 0, 1, whole.Length, 4096 })
                {
                    RequireKnown([.. both[..from], .. new byte[to - from], .. both[to..], .. new byte[rest]], mayKnowOther: from == to || both[from..to].All(static one => one == 0));
                }
            }

            // which may begin with what was there
            byte[] left = [.. both[..from], .. RandomNumberGenerator.GetBytes(64)];
            RequireKnown(left, mayKnowOther: left.AsSpan().StartsWith(both));
        }

        System.IO.File.WriteAllBytes(File, new byte[4096]);
        Assert.Empty(new SeenGenerations(File).Ids);
    }

    private void RequireKnown(byte[] left, bool mayKnowOther)
    {
        System.IO.File.WriteAllBytes(File, left);
        var seen = new SeenGenerations(File);
        Assert.Equal(3, seen.Get(One));
        Assert.Equal(mayKnowOther ? 7 : 0, seen.Get(Other));
        Assert.Subset(new HashSet<string>([One, Other], StringComparer.Ordinal), seen.Ids.ToHashSet(StringComparer.Ordinal));

        // and what comes next is whole
        seen.Note(Other, 8);
        Assert.Equal((3, 8), (new SeenGenerations(File).Get(One), new SeenGenerations(File).Get(Other)));
    }

    [Fact]
    public void Where_it_cant_be_written_its_own_folder_is_named()
    {
        // nobody may write there, whoever he is
        const string place = "/sys/seen";
        var refused = Assert.Throws<SecretsException>(() => new SeenGenerations(place).Note(One, 1));
        Assert.Contains(place, refused.Problem, StringComparison.Ordinal);
        Assert.Contains("MALLKU_STATE_DIR", refused.Remedy, StringComparison.Ordinal);
    }
}
