using System.CommandLine;
using System.Security.Cryptography;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Files;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class StoreJoinVerb : Verb
{
    private const int MostBytes = 1024;

    private readonly Argument<string?> _file = new("FILE") { Description = "the file with the key; - or in a pipe: standard input; else it is asked for", Arity = ArgumentArity.ZeroOrOne };

    internal StoreJoinVerb() => Understand(_file);

    internal override string? Notes =>
        "Tries the key, and keeps it in ~/.config/mallku/stores or in the file that MALLKU_STORE_KEY_FILE names. "
        + "It is never an argument: others could read it in the list of processes.";

    internal override string[] Examples => ["mallku store join < store.key", "mallku store join", "ssh web1 mallku store join < ~/.config/mallku/stores/ID.key"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var url = invocation.RequireStore();
        var file = invocation.Parsed.GetValue(_file);
        if (file is not null && file.StartsWith(StoreKey.Prefix, StringComparison.Ordinal))
        {
            throw new UsageException("a key is never an argument, where others could read it", "pipe it in, or type it when you are asked: mallku store join");
        }

        using var key = Read(file);
        await using var records = await OpenedStore.OpenRecordsAsync(url, invocation.Options, cancellationToken);
        if (!await new StoreRoot(records, key).IsOpenedAsync(cancellationToken))
        {
            throw new VaultOpenException($"the key is not the one of the store in '{records.Description}'; it was not kept", "take the key that mallku store init made for this store");
        }

        Notice.Done(TryKeep(key, out var path)
            ? $"joined the store '{records.Description}': its key is kept in {path}"
            : $"the key of the store '{records.Description}' was here already, in {path}");

        StoreKeyChoice.Remember(records, key.StoreId);
        if (StoreLocator.Read(StoreLocator.KeyVariable) is not null)
        {
            Notice.Warn($"{StoreLocator.KeyVariable} wins over it");
        }

        Notice.Done("next: mallku list");
        return ExitCode.Done;
    }

    private static StoreKey Read(string? file)
    {
        var isFile = file is not (null or "-");
        var isAsked = file is null && Prompt.IsPossible;
        var bytes = isFile ? PrivateFile.Read(file!, out _) ?? throw new SecretsException($"there is no file '{SecretsException.Show(file!)}'", "check the path")
            : isAsked ? Prompt.AskHidden("the store's key (not shown)", MostBytes)
            : PipedValue.Read(MostBytes);
        try
        {
            return StoreKey.Parse(bytes, isFile ? $"'{SecretsException.Show(file!)}'" : isAsked ? "what was typed" : "standard input");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }

    // others may do so at the same moment
    private static bool TryKeep(StoreKey key, out string path)
    {
        path = KeptStoreKeys.PathOf(key);
        if (IsKept(path, key))
        {
            return false;
        }

        try
        {
            KeptStoreKeys.Keep(key);
            return true;
        }
        catch (SecretsException)
        {
            if (IsKept(path, key))
            {
                return false;
            }

            throw;
        }
    }

    private static bool IsKept(string path, StoreKey key) => Path.Exists(path) && HoldsSame(path, key);

    private static bool HoldsSame(string path, StoreKey key)
    {
        using var kept = KeptStoreKeys.Read(path);
        using var one = kept.ToText();
        using var other = key.ToText();
        return one == other;
    }
}
