using Mallku.Cli.Terminal;
using Mallku.Secrets.Files;
using Mallku.Secrets.Sources;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class StoreInitVerb : Verb
{
    internal StoreInitVerb() => Understand();

    internal override string? Notes =>
        "Makes what the database needs, and the store's key, which lies in ~/.config/mallku/stores or in the file that MALLKU_STORE_KEY_FILE names, "
        + "and which nobody gets back from the database. Of several who do so at the same time, one succeeds.";

    internal override string[] Examples =>
    [
        "mallku --store postgres://mallku_owner@db.example/keys store init",
        "mallku store init",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var url = invocation.RequireStore();
        if (StoreLocator.Read(StoreLocator.KeyVariable) is not null)
        {
            throw new SecretsException(
                $"{StoreLocator.KeyVariable} holds a key, which would be used in the place of the new one; nothing was made", $"run it without: env -u {StoreLocator.KeyVariable} mallku store init");
        }

        await using var records = await OpenedStore.OpenRecordsAsync(url, invocation.Options, cancellationToken);
        using var key = StoreKey.Generate();

        // the key first: a store whose key nobody has could be neither used nor made anew
        var path = KeptStoreKeys.Keep(key);
        try
        {
            await new StoreRoot(records, key).CreateAsync(TimeProvider.System, cancellationToken);
        }
        catch (StoreUnreachableException e) when (e.MayBeWritten)
        {
            throw new StoreUnreachableException(
                $"{e.Problem}; the store may be made, and its key is kept in '{path}'", "see whether it is there when it answers again: mallku store status", e) { MayBeWritten = true };
        }
        catch (SecretsException)
        {
            FileReplacement.Remove(path);
            throw;
        }

        StoreKeyChoice.Remember(records, key.StoreId);
        Notice.Done($"made the store '{records.Description}'");
        Notice.Done($"its key is in {path}: keep a copy of it, nobody gets it back from the database");
        Notice.Done($"next, for each other machine: ssh MACHINE mallku store join < {PrivateFile.ShellQuote(path)}");
        return ExitCode.Done;
    }
}
