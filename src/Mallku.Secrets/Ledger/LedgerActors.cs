namespace Mallku.Secrets.Ledger;

/// <summary>Who this process is.</summary>
internal static class LedgerActors
{
    private static LedgerActor? _current;

    internal static LedgerActor Current => LazyInitializer.EnsureInitialized(ref _current, static () => new LedgerActor(
        Environment.UserName, Environment.MachineName, Path.GetFileName(Environment.ProcessPath) ?? "?", Environment.ProcessId))!;
}
