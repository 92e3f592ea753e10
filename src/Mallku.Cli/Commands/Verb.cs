using System.CommandLine;
using Mallku.Cli.Native;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>One verb of the command: what it understands, what its help adds, and what it does.</summary>
internal abstract class Verb
{
    /// <summary>What stands after the verb. System.CommandLine parses; the words on the screen are our own.</summary>
    internal Command Grammar { get; } = new("mallku");

    internal Option<string?> Directory { get; } = new("--dir") { HelpName = "DIR", Description = "the vault's folder, as MALLKU_SECRETS_DIR says it" };

    internal Option<bool> NoLedger { get; } = new("--no-ledger") { Description = "record nothing but that" };

    internal Option<bool> Help { get; } = new("--help", "-h", "-?") { Description = "show this help" };

    /// <summary>What a reader of the help should know besides the options.</summary>
    internal virtual string? Notes => null;

    /// <summary>Commands as somebody would type them.</summary>
    internal abstract string[] Examples { get; }

    /// <summary>Whether a command follows after <c>--</c>, which is not ours to parse.</summary>
    internal virtual bool TakesCommand => false;

    /// <summary>Whether it can't do without that command.</summary>
    internal virtual bool NeedsCommand => TakesCommand;

    /// <summary>Whether it looks several secrets up at once, so that their entries in the ledger share a flush.</summary>
    internal virtual bool LooksUpSeveral => false;

    internal abstract ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken);

    /// <summary>Takes over the verb's arguments and options; those that every verb has come last.</summary>
    protected void Understand(params Symbol[] symbols)
    {
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
            {
                Grammar.Arguments.Add(argument);
            }
            else
            {
                Grammar.Options.Add((Option)symbol);
            }
        }

        Grammar.Options.Add(Directory);
        Grammar.Options.Add(NoLedger);
        Grammar.Options.Add(Help);
    }
}

/// <summary>What a verb is run with.</summary>
/// <param name="Parsed">What stood after the verb.</param>
/// <param name="Options">Where the vault is.</param>
/// <param name="Arguments">All arguments of the process, for what follows after <c>--</c>.</param>
internal sealed record Invocation(ParseResult Parsed, SecretsOptions Options, string[] Arguments)
{
    // one list for all that `with` makes of this
    private readonly List<FileVault> _opened = [];

    internal SecretsManager OpenManager(LedgerKind handingOut = LedgerKind.Read)
    {
        NativeBinary.PrepareToDecrypt();
        var manager = SecretsManager.Open(Options, handingOut);
        _opened.Add(manager.Vault);
        return manager;
    }

    /// <summary>Says what writes of the verb have made besides, also where it failed in the end.</summary>
    internal void SayWhatWasMade()
    {
        foreach (var vault in _opened.Where(vault => vault.Writer.HasMadeGitIgnore))
        {
            Notice.Warn($"made {vault.Settings.GitIgnoreFile}: git adds nothing of the folder from now on");
        }
    }

    /// <summary>The vault, for the verbs that are about it and not about a lookup.</summary>
    internal FileVault OpenVault() => OpenManager().Vault;

    /// <summary>The vault's ledger, for the verbs that are about it.</summary>
    /// <exception cref="SecretsException">There is no vault, it can't be opened, or it has no ledger yet.</exception>
    internal ValueTask<OpenedLedger> OpenLedgerAsync(CancellationToken cancellationToken) => OpenedLedger.OpenAsync(OpenVault(), cancellationToken);
}
