using System.Diagnostics.CodeAnalysis;

namespace Mallku.Cli.Commands;

/// <summary>A verb by its name. It is built only when it is asked for: a grammar costs time.</summary>
internal sealed record VerbEntry(string Name, string Summary, Func<Verb> Build, bool IsHidden = false);

/// <summary>Every verb, in the order in which a person meets them.</summary>
internal static class VerbTable
{
    internal static readonly VerbEntry[] All =
    [
        new("init", "create the vault in this folder", static () => new InitVerb()),
        new("set", "store a value, from a hidden prompt or from a pipe", static () => new SetVerb()),
        new("get", "print a value", static () => new GetVerb()),
        new("list", "list the secrets, without values", static () => new ListVerb()),
        new("explain", "show where a lookup asks and which answer wins", static () => new ExplainVerb()),
        new("history", "list the versions of a secret", static () => new HistoryVerb()),
        new("rm", "remove a secret", static () => new RemoveVerb()),
        new("run", "run a command with the secrets in its environment", static () => new RunVerb()),
        new("rotate", "replace a value by a new one, with both in use for a while", ProviderVerbs.Rotate),
        new("rollback", "bring an earlier value back", ProviderVerbs.Rollback),
        new("import", "take over secrets from a .env or JSON file", static () => new ImportVerb()),
        new("export", "print all secrets as .env, JSON or shell", static () => new ExportVerb()),
        new("key status", "show where the vault's key is", static () => new KeyStatusVerb()),
        new("key rotate", "encrypt the vault with a new key", static () => new KeyRotateVerb()),
        new("key recover", "recover a vault that is damaged or written over", static () => new KeyRecoverVerb()),
        new("store init", "make a shared store in a database", ProviderVerbs.StoreInit),
        new("store join", "take the key of a shared store, to use it here", ProviderVerbs.StoreJoin),
        new("store status", "show a shared store, and whether it answers", ProviderVerbs.StoreStatus),
        new("store copy", "copy secrets from the vault to a shared store, or back", ProviderVerbs.StoreCopy),
        new("store reseal", "seal a shared store under a new data key", ProviderVerbs.StoreReseal),
        new("audit log", "list who used and changed what", static () => new AuditLogVerb()),
        new("audit report", "show the use of each secret", static () => new AuditReportVerb()),
        new("audit verify", "check that nobody altered the ledger", static () => new AuditVerifyVerb()),
        new("audit checkpoint", "print the ledger's newest checkpoint, to keep", static () => new AuditCheckpointVerb()),
        new("audit key", "print the ledger's public key", static () => new AuditKeyVerb()),
        new("audit prove", "print a proof that an entry is in the ledger", static () => new AuditProveVerb()),
        new("audit check", "check such a proof", static () => new AuditCheckVerb()),
        new("audit unusual", "name the uses that do not fit what came before", static () => new AuditUnusualVerb()),
        new("audit names", "say how the ledger has the secrets' names", static () => new AuditNamesVerb()),
        new("audit close", "close a file of the ledger, to archive it", static () => new AuditCloseVerb()),
        new("audit restart", "give a damaged ledger up and begin a new one", static () => new AuditRestartVerb()),
        new("adapters test", "ask each provider whether its key works", ProviderVerbs.AdaptersTest),
        new("adapters", "list the providers, and from where each has its key", ProviderVerbs.Adapters),
        new("doctor", "check vault and shared store, and say how to mend them", static () => new DoctorVerb()),
        new("completion", "print the completion script of a shell", static () => new CompletionVerb()),
        new("help", "show the help of a verb", static () => new HelpVerb()),
        new("complete", "print what can stand next, for the completion scripts", static () => new CompleteVerb(), IsHidden: true),
    ];

    /// <summary>The verb that the words begin with, and how many of them are its name.</summary>
    /// <exception cref="UsageException">There is none.</exception>
    internal static VerbEntry Find(ReadOnlySpan<string> words, out int length)
    {
        if (TryFind(words, out var entry, out length))
        {
            return entry;
        }

        throw FindGroup(words[0]) is [_, ..] group
            ? new UsageException($"'{words[0]}' needs one of its verbs", $"write: {string.Join(", ", group[..^1])} or {group[^1]}")
            : new UsageException("there is no such verb", UsageErrors.Suggest(words[0], All.Where(entry => !entry.IsHidden).Select(entry => entry.Name), "see what there is: mallku help"));
    }

    /// <summary>What can follow on the first word of a verb that has two.</summary>
    internal static IEnumerable<string> FindSecondWords(string first) =>
        All.Where(entry => entry.Name.StartsWith(first + " ", StringComparison.Ordinal)).Select(entry => entry.Name[(first.Length + 1)..]);

    private static string[] FindGroup(string first) => [.. FindSecondWords(first).Select(second => $"mallku {first} {second}")];

    internal static bool TryFind(ReadOnlySpan<string> words, [NotNullWhen(true)] out VerbEntry? entry, out int length)
    {
        foreach (var known in All)
        {
            var name = known.Name.Split(' ');
            if (words.StartsWith(name))
            {
                entry = known;
                length = name.Length;
                return true;
            }
        }

        entry = null;
        length = 0;
        return false;
    }
}
