using Mallku.Secrets;
using Mallku.Secrets.Stores;

namespace Mallku.Bench.Stores;

/// <summary>A machine that uses a store: connections, a ledger and what it has seen are its own.</summary>
internal sealed class Instance : IAsyncDisposable
{
    internal const string UrlVariable = "MALLKU_STORE", KeyVariable = "MALLKU_STORE_KEY", StateVariable = "MALLKU_STATE_DIR";

    private readonly bool _isTemporary;

    private Instance(string url, SecretValue? key, string state, bool isTemporary)
    {
        (State, _isTemporary) = (state, isTemporary);
        Records = SharedStores.Open(url);

        // where its state lies is said by a variable alone, and a vault is looked for from the current folder upwards
        Environment.SetEnvironmentVariable(StateVariable, state);
        Environment.CurrentDirectory = state;
        Secrets = SecretsManager.Open(new SecretsOptions { Store = Records, StoreKey = key, Purpose = "bench", LedgerTimeout = TimeSpan.FromMinutes(1) });
    }

    internal string State { get; }

    internal IRecordStore Records { get; }

    internal SecretsManager Secrets { get; }

    internal static Instance Open(Engine engine, SecretValue key) => new(engine.Url, key, Directory.CreateTempSubdirectory("mallku-bench-").FullName, isTemporary: true);

    /// <summary>The one of this process, as the variables that it was started with say.</summary>
    internal static Instance OpenOwn() => new(Variable(UrlVariable), key: null, Variable(StateVariable), isTemporary: false);

    /// <summary>The variables with which another process opens one.</summary>
    internal static IReadOnlyDictionary<string, string> VariablesOf(Engine engine, SecretValue key, string state) =>
        new Dictionary<string, string>(StringComparer.Ordinal) { [UrlVariable] = engine.Url, [KeyVariable] = key.RevealString(), [StateVariable] = state };

    /// <summary>How long a line of its ledger is.</summary>
    internal int LineLength()
    {
        var segment = Directory.EnumerateFiles(State, "*.jsonl", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Last();
        return File.ReadLines(segment).Last().Length + 1;
    }

    public async ValueTask DisposeAsync()
    {
        await Secrets.FlushAsync();
        await Records.DisposeAsync();
        if (_isTemporary)
        {
            TemporaryVault.Delete(State);
        }
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? throw new InvalidOperationException($"{name} is not set.");
}
