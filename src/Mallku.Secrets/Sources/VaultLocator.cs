using Mallku.Secrets.Files;
using System.Text;
using Mallku.Secrets.Crypto;
using Mallku.Secrets.Ledger;
using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Sources;

/// <summary>Decides where the vault is from what the caller says and, where he says nothing, from the environment.</summary>
internal static class VaultLocator
{
    internal const string DirectoryVariable = "MALLKU_SECRETS_DIR";
    internal const string KeyVariable = "MALLKU_ENCRYPTION_KEY";
    internal const string LedgerVariable = "MALLKU_LEDGER_DIR";

    internal const string NoLedgerVariable = "MALLKU_NO_LEDGER";
    internal const string KeyFileVariable = "MALLKU_KEY_FILE";

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    /// <exception cref="SecretsException">A path can't be told: the current folder is gone, or one is no UTF-8.</exception>
    internal static VaultSettings Locate(SecretsOptions options)
    {
        if (options.KeepVersions is < SecretFormat.FewestKept or > SecretFormat.MostKept)
        {
            throw new ArgumentException($"KeepVersions must be from {SecretFormat.FewestKept} to {SecretFormat.MostKept}.", nameof(options));
        }

        if (options.Directory is "")
        {
            throw new ArgumentException("Directory must not be empty.", nameof(options));
        }

        if (options.LedgerDirectory is "")
        {
            throw new ArgumentException("LedgerDirectory must not be empty.", nameof(options));
        }

        if (options.WitnessFile is "" || options.WitnessCommand is "" || options.LedgerPublicKey is "")
        {
            throw new ArgumentException("WitnessFile, WitnessCommand and LedgerPublicKey must not be empty.", nameof(options));
        }

        if (options.LedgerTimeout <= TimeSpan.Zero)
        {
            throw new ArgumentException("LedgerTimeout must be above zero.", nameof(options));
        }

        if (options.Purpose?.Length > SecretsOptions.MostWords || options.Voice?.Length > SecretsOptions.MostWords)
        {
            throw new ArgumentException($"Purpose and Voice have at most {SecretsOptions.MostWords} characters.", nameof(options));
        }

        var named = options.Directory ?? Read(DirectoryVariable);
        // a key that the caller names wins over the environment's, whichever form each has
        var key = options.Key?.Copy() ?? (options.KeyFile is null && Read(KeyVariable) is { } text ? SecretValue.FromString(text) : null);
        var keyFile = options.KeyFile ?? Read(KeyFileVariable);
        var ledger = options.LedgerDirectory ?? Read(LedgerVariable);
        var witness = options.WitnessFile ?? Read(WitnessFile.Variable);
        RequireNoKey(keyFile, KeyFileVariable);
        RequireNoKey(named, $"{DirectoryVariable} or --dir");
        RequireNoKey(ledger, LedgerVariable);
        RequireNoKey(witness, WitnessFile.Variable);
        var directory = named is null ? RequireText(VaultSettings.Discover(Here(), Read("HOME") ?? "/")) : MakeFull(named);
        var pin = options.LedgerPublicKey ?? Read(LedgerPin.Variable);
        var settings = new VaultSettings
        {
            Directory = directory,
            LedgerDirectory = ledger is null ? Path.Combine(directory, "ledger") : MakeFull(ledger),
            UsesLedger = options.UseLedger && Read(NoLedgerVariable) is not ("1" or "true"),
            UsesPseudonyms = options.UsePseudonyms,
            LedgerPatience = options.LedgerTimeout,
            WitnessFile = witness is null ? null : MakeFull(witness),
            WitnessCommand = options.WitnessCommand ?? Read(LedgerWitness.CommandVariable),
            LedgerPin = pin is null ? null : new LedgerPin(pin, MakeFull(pin)),
            BlocksForLedger = options.BlocksForLedger,
            Purpose = options.Purpose,
            Voice = options.Voice,
            IsDirectoryNamed = named is not null,
            Key = key,
            KeyFile = keyFile is null ? null : RequireText(Path.GetFullPath(keyFile, Path.IsPathRooted(keyFile) ? "/" : Here())),
            KeepVersions = options.KeepVersions,
            Clock = options.TimeProvider,
        };
        RequireApart(settings);
        return settings;
    }

    // there it would be put back with what it is to tell of, and could take the place of one of its files
    private static void RequireApart(VaultSettings settings)
    {
        if (settings is { UsesLedger: true, WitnessFile: { } witness } && (IsWithin(witness, settings.Directory) || IsWithin(witness, settings.LedgerDirectory)))
        {
            throw new SecretsException(
                $"the witness '{witness}' lies in the folder of the vault or of its ledger, of which it is to tell",
                $"name a file by {WitnessFile.Variable} where whoever can write the vault can't");
        }
    }

    // also by another path, over a link
    private static bool IsWithin(string path, string folder)
    {
        if (path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            return true;
        }

        try
        {
            var isThere = Posix.TryStat(folder, out var facts);
            for (var above = Path.GetDirectoryName(path); isThere && above is not null; above = Path.GetDirectoryName(above))
            {
                if (Posix.TryStat(above, out var of) && of == facts)
                {
                    return true;
                }
            }
        }
        catch (PosixException)
        {
            // whoever writes there is told
        }

        return false;
    }

    private static string MakeFull(string path) =>
        RequireText(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path, Path.IsPathRooted(path) ? "/" : Here())));

    private static string Here()
    {
        try
        {
            return Environment.CurrentDirectory;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretsException("the current folder is gone", "change into one that is there, or name the vault's by MALLKU_SECRETS_DIR or --dir", e);
        }
    }

    // a path is shown in errors, and files get its name
    private static void RequireNoKey(string? path, string place)
    {
        if (path?.Trim() is { Length: Fernet.KeyLength } text && Fernet.IsKey(Encoding.UTF8.GetBytes(text)) && !Path.Exists(path))
        {
            throw new VaultOpenException($"{place} should be a path, and is a key itself", $"give the vault's key by {KeyVariable}, or by {KeyFileVariable} the path of the file that holds it");
        }
    }

    // the runtime writes this character for bytes that are no UTF-8, and would go to another folder
    private static string RequireText(string path) => path.Contains('\uFFFD', StringComparison.Ordinal)
        ? throw new SecretsException($"the path '{path}' is not valid UTF-8", "keep the vault in a folder whose path is, by MALLKU_SECRETS_DIR or --dir")
        : path;

    private static string? Read(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value ? value : null;
}
