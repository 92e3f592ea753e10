using Mallku.Secrets.Files;
using Mallku.Secrets.Keys;
using Mallku.Secrets.Ledger;

namespace Mallku.Secrets.Tests.Ledger;

/// <summary>A ledger without a vault: its key is the test's.</summary>
internal sealed class SampleLedger : IDisposable
{
    private readonly TemporaryFolder _home = new();
    private readonly LedgerSession _session;
    private Checkpoint? _known;

    internal SampleLedger()
    {
        Folder = new LedgerFolder(Path.Combine(_home.Path, "ledger"));
        Posix.CreateFolder(Folder.Path);
        using var key = LedgerKey.Generate(DataKey.Generate(TimeProvider.System), _home.Path);
        _session = LedgerSession.Open(new LedgerUse(Folder.Path, TimeSpan.FromSeconds(20), Blocks: false, TimeProvider.System), key.Origin, key.ExportSeed());
    }

    internal LedgerFolder Folder { get; }

    internal NoteVerifier Verifier => _session.Key.Verifier;

    internal Checkpoint Newest => _session.ReadCurrent();

    internal string Note => File.ReadAllText(Folder.CheckpointFile);

    internal KeptCheckpoint Keep(bool isDemanded = false) => new(Newest, "somebody", isDemanded);

    /// <summary>Two files and several batches: entries of every shape.</summary>
    internal static async Task<SampleLedger> MakeAsync()
    {
        var ledger = new SampleLedger();
        await ledger.AddAsync(new LedgerEvent(LedgerKind.Opened));
        await ledger.AddAsync(new LedgerEvent(LedgerKind.Created, "openai_api_key", 1, "vault", "set"), Read("openai_api_key", 1));
        await ledger.AddAsync(Read("openai_api_key", 17));
        ledger.CloseSegment();
        await ledger.AddAsync(new LedgerEvent(LedgerKind.Missing, "no one's", Count: 2, Note: "\"quoted\" \n ünï"));
        await ledger.AddAsync(Read("openai_api_key", 1), Read("mistral_api_key", 3), new LedgerEvent(LedgerKind.KeyRotated, Note: "by a person"));
        return ledger;
    }

    internal static LedgerEvent Read(string name, long count) => new(LedgerKind.Read, name, 1, "vault", "run", count);

    internal async Task AddAsync(params LedgerEvent[] events) =>
        _known = (await _session.Queue.AppendAsync(new LedgerBatch(events, LedgerActors.Current, _known, step: null))).Checkpoint;

    /// <summary>Goes on from what is there, whatever was there before.</summary>
    internal void Forget() => _known = Newest;

    internal void CloseSegment() => _session.CloseSegment();

    internal async Task<LedgerVerification> VerifyAsync(params KeptCheckpoint[] kept) =>
        await new LedgerVerifier(Folder, Verifier).VerifyAsync(kept, progress: null, TestContext.Current.CancellationToken);

    /// <summary>Every file but the lock, with what it holds.</summary>
    internal Dictionary<string, byte[]> Photograph() => Directory.GetFiles(Folder.Path)
        .Where(file => file != Folder.LockFile)
        .ToDictionary(file => file, File.ReadAllBytes, StringComparer.Ordinal);

    internal void PutBack(Dictionary<string, byte[]> photograph)
    {
        foreach (var file in Directory.GetFiles(Folder.Path))
        {
            File.Delete(file);
        }

        foreach (var (file, bytes) in photograph)
        {
            File.WriteAllBytes(file, bytes);
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }

    public void Dispose() => _home.Dispose();
}
