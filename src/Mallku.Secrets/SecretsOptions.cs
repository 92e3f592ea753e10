using Mallku.Secrets.Storage;

namespace Mallku.Secrets;

/// <summary>Where a <see cref="SecretsManager"/> finds its vault. What is null comes from the environment.</summary>
public sealed record SecretsOptions
{
    internal const int MostWords = 300;

    /// <summary>
    /// The vault's folder. Null: <c>MALLKU_SECRETS_DIR</c>, else <c>./.secrets</c>, else the nearest one upwards within
    /// the repository.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>
    /// The file that holds the data key. Null: <c>MALLKU_KEY_FILE</c>, else <c>.encryption.key</c> in the vault's
    /// folder.
    /// </summary>
    public string? KeyFile { get; init; }

    /// <summary>
    /// The data key itself. Null: <c>MALLKU_ENCRYPTION_KEY</c>, else a file. It stays the caller's, who may dispose of it once
    /// the manager is made: that has a copy, which is wiped when nobody needs it any more.
    /// </summary>
    public SecretValue? Key { get; init; }

    /// <summary>
    /// How many versions of each secret are kept, from 2 to 1000. The next write records it in the vault or the shared store
    /// that it goes to, so that every program keeps as many. Null: what that says, else 10.
    /// </summary>
    public int? KeepVersions { get; init; }

    /// <summary>The ledger's folder. Null: <c>MALLKU_LEDGER_DIR</c>, else <c>ledger</c> in the vault's folder.</summary>
    public string? LedgerDirectory { get; init; }

    /// <summary>
    /// Whether accesses and changes are recorded in the vault's ledger, without which no value is handed out. False: the
    /// ledger's last entry says that it was switched off.
    /// </summary>
    public bool UseLedger { get; init; } = true;

    /// <summary>
    /// Whether a ledger that begins here, with the first write of a vault, has keyed pseudonyms in the place of secrets'
    /// names. One that is there stays as its vault says, whatever stands here: <c>mallku audit names</c> switches it.
    /// </summary>
    public bool UsePseudonyms { get; init; }

    /// <summary>
    /// A shared store, which is asked after the vault; null for none. It stays the caller's: disposing of it ends what follows
    /// its changes.
    /// </summary>
    public IRecordStore? Store { get; init; }

    /// <summary>The store's root key. Null: <c>MALLKU_STORE_KEY</c>, else a file. It stays the caller's, and is copied.</summary>
    public SecretValue? StoreKey { get; init; }

    /// <summary>
    /// The file with the store's root key. Null: <c>MALLKU_STORE_KEY_FILE</c>, else the one that <c>mallku store init</c> or
    /// <c>join</c> has kept for this user.
    /// </summary>
    public string? StoreKeyFile { get; init; }

    /// <summary>How old a value from the store may be while it does not answer, from when it was last heard of: 5 minutes; zero for never, once that is known. The ledger says that it was old.</summary>
    public TimeSpan StoreStaleness { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long an entry may take to become durable before the value is withheld: 5 seconds.</summary>
    public TimeSpan LedgerTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// A file that gets each new signed checkpoint of the ledger before a value is returned or a change acknowledged, and
    /// that the ledger must go on from at every use. Public, and best where nobody who can write the vault's folder can
    /// write. Null: <c>MALLKU_WITNESS_FILE</c>, else none.
    /// </summary>
    public string? WitnessFile { get; init; }

    /// <summary>
    /// A command that gets the same on its standard input, run by <c>/bin/sh -c</c>; it has taken it when it ends with 0
    /// within <see cref="LedgerTimeout"/>. Null: <c>MALLKU_WITNESS_COMMAND</c>, else none.
    /// </summary>
    public string? WitnessCommand { get; init; }

    /// <summary>
    /// The public key that the vault's ledger must have, as <c>mallku audit key</c> prints it, or the path of a file that
    /// holds it: a vault whose ledger has another key, or that has none, is refused. Null: <c>MALLKU_LEDGER_KEY</c>, else
    /// any will do.
    /// </summary>
    public string? LedgerPublicKey { get; init; }

    /// <summary>Whether changes of the store are followed: not by a command that ends soon.</summary>
    internal bool FollowsStore { get; init; } = true;

    /// <summary>Whether a thread is kept while its entry becomes durable: for a command, which has nothing else to do.</summary>
    internal bool BlocksForLedger { get; init; }

    /// <summary>For what the secrets are used, as the ledger says it: the name of a job, an adapter, a verb. At most 300 characters.</summary>
    public string? Purpose { get; init; }

    /// <summary>The voice or the service for which they are used, as the ledger says it. At most 300 characters.</summary>
    public string? Voice { get; init; }

    /// <summary>
    /// Whether metrics and traces have the names and versions of secrets as tags. They leave the machine, and each is a
    /// series of its own: without it, what is handed out is counted by source alone.
    /// </summary>
    public bool NamesInTelemetry { get; init; }

    /// <summary>The clock of versions' times.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
