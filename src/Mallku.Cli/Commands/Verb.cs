using System.CommandLine;
using Mallku.Cli.Native;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

/// <summary>One verb of the command: what it understands, what its help adds, and what it does.</summary>
internal abstract class Verb
{
    /// <summary>What stands after the verb. System.CommandLine parses; the words on the screen are our own.</summary>
    internal Command Grammar { get; } = new("mallku");

    internal Option<string?> Directory { get; } = new("--dir") { HelpName = "DIR", Description = "the vault's folder, as MALLKU_SECRETS_DIR says it" };

    internal Option<string?> Store { get; } = new("--store") { HelpName = "URL", Description = "the shared store, as MALLKU_STORE says it" };

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

    /// <summary>Whether it is about secrets wherever they are, or a shared store, and not about the vault alone.</summary>
    internal virtual bool UsesStore => true;

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
        if (UsesStore)
        {
            Grammar.Options.Add(Store);
        }

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
    private readonly List<SecretsManager> _connected = [];

    /// <summary>The URL of the shared store; null where none is named, or the verb is about the vault alone.</summary>
    internal string? Store { get; init; }

    /// <summary>The same, for the verbs that are about it.</summary>
    /// <exception cref="UsageException">None is named.</exception>
    internal string RequireStore() => Store ?? throw new UsageException("no shared store is named", $"name it by --store URL, or by {StoreUrl.Variable}: postgres://USER@HOST/DATABASE");

    /// <summary>What looks secrets up in the vault and, where one is named, in the shared store.</summary>
    /// <exception cref="SecretsException">The store can't be used.</exception>
    internal async ValueTask<SecretsManager> OpenManagerAsync(CancellationToken cancellationToken, LedgerKind handingOut = LedgerKind.Read)
    {
        NativeBinary.PrepareToDecrypt();
        var options = Store is null ? Options : await OpenedStore.AddAsync(Options, Store, cancellationToken);
        var manager = SecretsManager.Open(options, handingOut);
        _opened.Add(manager.Vault);
        if (manager.StoreLedger is not null)
        {
            _connected.Add(manager);
        }

        return manager;
    }

    /// <summary>
    /// Ends what goes on in the background, before another program takes the place of this one: the system refuses a thread that
    /// is begun at that moment, and the runtime then ends the process.
    /// </summary>
    internal async ValueTask CloseStoresAsync()
    {
        if (_connected.Count > 0)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            try
            {
                foreach (var manager in _connected)
                {
                    await manager.CloseStoreAsync().AsTask().WaitAsync(limit.Token);
                }

                SpinWait.SpinUntil(static () => ThreadPool.PendingWorkItemCount == 0, TimeSpan.FromMilliseconds(100));
            }
            catch (OperationCanceledException)
            {
                // it is tried all the same
            }
        }
    }

    /// <summary>Tells the shared store what the ledger here has. Where it can't be told now, the next command does it.</summary>
    internal async ValueTask TellStoreAsync()
    {
        if (_connected is [.., { StoreLedger: { } ledger }])
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            try
            {
                // a connection that is being made may not end with its token
                await ledger.TellAsync(limit.Token).AsTask().WaitAsync(limit.Token);
            }
            catch (Exception e) when (e is SecretsException or OperationCanceledException)
            {
                // what was asked for is done
            }
        }
    }

    /// <summary>What all machines have told the shared store of their ledgers, and this one just now; says why where it could not tell.</summary>
    /// <exception cref="SecretsException">No store is named, or it does not answer.</exception>
    internal async ValueTask<StoreLedger> OpenStoreLedgerAsync(CancellationToken cancellationToken)
    {
        var (ledger, untold) = await TellStoreLedgerAsync(cancellationToken);
        if (untold is not null)
        {
            Notice.Warn($"{untold.Problem}; {untold.Remedy}");
        }

        return ledger;
    }

    /// <summary>The same, with why this machine could not tell it just now: what the others have told is there all the same.</summary>
    internal async ValueTask<(StoreLedger Ledger, SecretsException? Untold)> TellStoreLedgerAsync(CancellationToken cancellationToken)
    {
        RequireStore();
        var ledger = (await OpenManagerAsync(cancellationToken)).StoreLedger!;
        try
        {
            await ledger.TellAsync(cancellationToken);
            return (ledger, null);
        }
        catch (SecretsException e) when (e is not StoreUnreachableException { MayBeWritten: false })
        {
            // one that takes no writes may be read
            return (ledger, e);
        }
    }

    /// <summary>The option by which a verb is about all of them.</summary>
    internal static Option<bool> OfAll() => new("--all") { Description = "of all machines that use the shared store" };

    /// <summary>Says what writes of the verb have made besides, also where it failed in the end.</summary>
    internal void SayWhatWasMade()
    {
        foreach (var vault in _opened.Where(vault => vault.Writer.HasMadeGitIgnore))
        {
            Notice.Warn($"made {vault.Settings.GitIgnoreFile}: git adds nothing of the folder from now on");
        }
    }

    /// <summary>The vault, for the verbs that are about it alone.</summary>
    internal FileVault OpenVault()
    {
        NativeBinary.PrepareToDecrypt();
        var vault = SecretsManager.Open(Options, LedgerKind.Read).Vault;
        _opened.Add(vault);
        return vault;
    }

    /// <summary>The vault that has the ledger: the one here, or, beside a shared store, the one that was made for that.</summary>
    internal async ValueTask<FileVault> OpenLedgersVaultAsync(CancellationToken cancellationToken) => (await OpenLedgersManagerAsync(cancellationToken)).Vault;

    /// <summary>The same with the shared store, where one is named.</summary>
    internal async ValueTask<SecretsManager> OpenLedgersManagerAsync(CancellationToken cancellationToken)
    {
        var manager = await OpenManagerAsync(cancellationToken);
        await manager.Vault.EnsureMadeAsync(cancellationToken);
        return manager;
    }

    /// <summary>The vault's ledger, for the verbs that are about it.</summary>
    /// <exception cref="SecretsException">There is no vault, it can't be opened, or it has no ledger yet.</exception>
    internal async ValueTask<OpenedLedger> OpenLedgerAsync(CancellationToken cancellationToken) =>
        await OpenedLedger.OpenAsync(await OpenLedgersVaultAsync(cancellationToken), cancellationToken);
}
