using Mallku.Secrets.Storage;
using Mallku.Secrets.Vault;

namespace Mallku.Secrets.Sources;

/// <summary>Looks over a shared store as this machine uses it. It is told of this machine's ledger, as by every command; nothing else is changed.</summary>
internal static class StoreInspection
{
    internal const string Check = "store", KeyCheck = "store-key", SecretCheck = "store-secret";

    /// <summary>Where the store's key is, and who can read it. For all keys that are kept: one that can't be used keeps others from being tried.</summary>
    internal static IReadOnlyList<Finding> InspectKeys()
    {
        if (StoreLocator.Read(StoreLocator.KeyVariable) is not null)
        {
            return [new(FindingLevel.Ok, KeyCheck, $"the store's key comes from {StoreLocator.KeyVariable}", null)];
        }

        var findings = new List<Finding>();
        foreach (var path in StoreLocator.Read(StoreLocator.KeyFileVariable) is { } named ? [named] : KeptStoreKeys.Find())
        {
            try
            {
                using var key = KeptStoreKeys.Read(path);
                findings.Add(new(FindingLevel.Ok, KeyCheck, $"only this user can read the store's key in '{path}'", null));
            }
            catch (SecretsException e)
            {
                findings.Add(new(FindingLevel.Error, KeyCheck, e.Problem, e.Remedy));
            }
        }

        return findings.Count > 0 ? findings : [new(FindingLevel.Error, KeyCheck, "there is no key to open the store with", "take the key that was made for it: mallku store join")];
    }

    /// <summary>Whether it answers and opens, and what is left to do there.</summary>
    internal static async ValueTask<IReadOnlyList<Finding>> InspectAsync(SealedStore store, CancellationToken cancellationToken)
    {
        StoreStatus status;
        try
        {
            status = await StoreStatus.ReadAsync(store, cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e)
        {
            return [new(FindingLevel.Error, Check, e.Problem, e.Remedy)];
        }

        var now = store.Clock.GetUtcNow();
        var isAhead = status.Newest > now + TimeSpan.FromMinutes(1);
        return
        [
            new(FindingLevel.Ok, Check, $"{store.Describe()} answers and opens: {status.Secrets} {(status.Secrets == 1 ? "secret" : "secrets")}", null),
            status.IsResealing
                ? new(FindingLevel.Warning, "store-seal", "a reseal was begun and has not ended: values may still be under an older data key", "go on with it: mallku store reseal")
                : new(FindingLevel.Ok, "store-seal", $"no reseal was cut off; the sealing data key is of {SecretFormat.Format(status.Keys[^1].Created)}", null),
            isAhead
                ? new(FindingLevel.Warning, "store-clock", $"a version says that it was written at {SecretFormat.Format(status.Newest!.Value)}, and it is {SecretFormat.Format(now)} here", "set the clock right, here or where it was written")
                : new(FindingLevel.Ok, "store-clock", "no version was written in the future", null),
            await InspectTellingAsync(store, cancellationToken).ConfigureAwait(false),
            .. status.Faults.Select(static fault => new Finding(FindingLevel.Error, SecretCheck, fault.Problem, fault.Remedy)),
        ];
    }

    /// <summary>Whether the store can be told what this machine's ledger has: what every command does at its end, and says nothing of.</summary>
    internal static async ValueTask<Finding> InspectTellingAsync(SealedStore store, CancellationToken cancellationToken)
    {
        try
        {
            await store.Shipper.ShipAsync(cancellationToken).ConfigureAwait(false);
            return new(FindingLevel.Ok, "store-ledger", "the store is told what this machine's ledger has", null);
        }
        catch (SecretsException e)
        {
            return new(FindingLevel.Error, "store-ledger", e.Problem, e.Remedy);
        }
    }

    /// <summary>The ledger of a machine that has no vault of its own.</summary>
    internal static async ValueTask<IReadOnlyList<Finding>> InspectLedgerAsync(FileVault vault, CancellationToken cancellationToken)
    {
        if (!vault.IsMade)
        {
            return [new(FindingLevel.Ok, LedgerInspection.Check, $"there is no ledger yet: it begins with {vault.Settings.LedgerBeginsWith}", null)];
        }

        try
        {
            return await LedgerInspection.InspectAsync(vault, await vault.OpenAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        }
        catch (SecretsException e)
        {
            return [new(FindingLevel.Error, LedgerInspection.Check, e.Problem, e.Remedy)];
        }
    }
}
