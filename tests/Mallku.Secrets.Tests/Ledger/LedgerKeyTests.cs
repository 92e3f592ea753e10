using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

public sealed class LedgerKeyTests
{
    [Fact]
    public void Twenty_thousand_keys_at_once_sign()
    {
        // one for each manager that a program has made and not let go of yet
        using var first = LedgerKey.Generate(DataKey.Generate(TimeProvider.System), "/home/ana/.secrets");
        var seed = first.ExportSeed();
        var keys = Enumerable.Range(0, 20_000).Select(_ => LedgerKey.TryImport(first.Origin, seed)!).ToList();

        var expected = Sign(first);
        Assert.All([keys[0], keys[^1]], key => Assert.Equal(expected, Sign(key)));
        keys.ForEach(key => key.Dispose());
    }

    private static string Sign(LedgerKey key)
    {
        using var native = key.ToNative();
        return key.Sign(Checkpoint.Begin(key.Origin, generation: 0), native);
    }
}
