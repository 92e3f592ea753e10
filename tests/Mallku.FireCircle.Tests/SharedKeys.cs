using Mallku.Secrets.Ledger;
using Mallku.Secrets.Stores;

namespace Mallku.FireCircle.Tests;

/// <summary>A shared store of one test, and what each machine that uses it is given.</summary>
internal sealed class SharedKeys : IAsyncDisposable
{
    private const string State = "MALLKU_STATE_DIR";
    private readonly string _folder = Directory.CreateTempSubdirectory("mallku-machines-").FullName;
    private readonly string _url;
    private readonly IRecordStore _records;
    private SecretValue _key = null!;
    private int _machines;

    private SharedKeys(string url)
    {
        (_url, _records) = (url, SharedStores.Open(url));

        // this process is a machine too
        Environment.SetEnvironmentVariable(State, Path.Combine(_folder, "this"));
    }

    internal SecretsOptions Options => new() { Store = _records, StoreKey = _key };

    internal static async Task<SharedKeys> CreateAsync(string url)
    {
        var keys = new SharedKeys(url);
        keys._key = await SharedStore.CreateAsync(keys._records, Stage.Cancel);
        return keys;
    }

    /// <summary>The variables of a process on a machine that nobody has used before.</summary>
    internal IReadOnlyList<KeyValuePair<string, string>> OfAnotherMachine() =>
    [
        new("MALLKU_TEST_STORE", _url), new("MALLKU_STORE_KEY", _key.RevealString()), new(State, PathOf(++_machines)),
    ];

    /// <summary>How often the ledgers of the other machines, whose processes have ended, say that an adapter was handed a key; each must be whole.</summary>
    internal async Task<long> CountReadsAsync()
    {
        var reads = 0L;
        for (var machine = 1; machine <= _machines; machine++)
        {
            Environment.SetEnvironmentVariable(State, PathOf(machine));
            var ledger = SecretsManager.Open(Options).Ledger;
            Assert.Null((await ledger.VerifyAsync(cancellationToken: Stage.Cancel)).Fault);
            await foreach (var entry in ledger.ReadEntriesAsync(cancellationToken: Stage.Cancel))
            {
                reads += entry.Kind == LedgerKind.Read && entry.Purpose?.StartsWith("adapter ", StringComparison.Ordinal) == true ? entry.Count : 0;
            }
        }

        return reads;
    }

    private string PathOf(int machine) => Path.Combine(_folder, $"machine-{machine}");

    public async ValueTask DisposeAsync()
    {
        await _records.DisposeAsync();
        _key.Dispose();
        const int attempts = 20;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Directory.Delete(_folder, recursive: true);
                return;
            }
            catch (IOException) when (attempt < attempts)
            {
                // a manager that the test left has counts to write into the ledger, within a quarter of a second
                await Task.Delay(50, CancellationToken.None);
            }
        }
    }
}
