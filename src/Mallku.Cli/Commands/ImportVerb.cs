using System.CommandLine;
using Mallku.Cli.Running;
using Mallku.Cli.Terminal;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Sources;

namespace Mallku.Cli.Commands;

internal sealed class ImportVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "a .env file, or a JSON object of names and values; - is standard input" };
    private readonly Option<bool> _overwrite = new("--overwrite") { Description = "replace values that differ; they stay as versions" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "show what would be done, and do nothing" };

    private readonly Option<string?> _to = new("--to") { HelpName = "PLACE", Description = "vault or store; where a secret lives now, and a new one in the store where one is named" };

    internal ImportVerb() => Understand(_file, _overwrite, _dryRun, _to);

    internal override string? Notes =>
        "Reads .env, the api_keys.json of the Python system, and the secrets.json of dotnet user-secrets. In names ':' and '__' become '_', "
        + "and in .env OPENAI_API_KEY becomes openai_api_key. Shows what it does with each entry, without values. All of it is one write in a vault, and one for each secret in a shared store; "
        + "a file that can't be read stores nothing. What has no value is skipped. Ends with 1 if an entry was refused.";

    internal override string[] Examples =>
    [
        "mallku import .env --dry-run",
        "mallku import .secrets/api_keys.json --overwrite",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var file = invocation.Parsed.GetRequiredValue(_file);
        var place = Places.Parse(invocation.Parsed.GetValue(_to), invocation);
        var manager = await invocation.OpenManagerAsync(cancellationToken);
        var sources = await FindSourcesAsync(manager, place, cancellationToken);
        var entries = ImportFile.Read(file);
        try
        {
            var plan = await ImportPlan.MakeAsync(entries, new SecretsManager(sources), invocation.Parsed.GetValue(_overwrite), cancellationToken);
            Show(plan);
            var writes = plan.Where(planned => planned.Step is ImportStep.New or ImportStep.Overwrite).ToList();
            if (invocation.Parsed.GetValue(_dryRun))
            {
                Notice.Done($"would store {Count(writes.Count)}; nothing was done");
            }
            else
            {
                await StoreAsync(manager, writes, place, cancellationToken);
                SayWhatIsLeft(file, plan);
            }

            SayWhatRunRefuses(writes);

            return plan.Exists(planned => planned.Step == ImportStep.Refused) ? ExitCode.Failed : ExitCode.Done;
        }
        finally
        {
            entries.ForEach(entry => entry.Value?.Dispose());
        }
    }

    /// <summary>What the entries are compared with: the place that was named, or all of them.</summary>
    private static async ValueTask<List<ISecretSource>> FindSourcesAsync(SecretsManager manager, SecretPlace? place, CancellationToken cancellationToken)
    {
        var sources = new List<ISecretSource>();
        if (place is not SecretPlace.Store && (manager.HasVault || place is SecretPlace.Vault))
        {
            if (!manager.HasVault)
            {
                throw new SecretsException("there is no vault to write to; nothing is stored", "make one: mallku init");
            }

            await manager.Vault.RequireAsync(cancellationToken);
            sources.Add(new VaultSource(manager.Vault));
        }

        if (manager.Store is { } store && place is not SecretPlace.Vault)
        {
            sources.Add(new StoreSource(store));
        }

        return sources;
    }

    private static async ValueTask StoreAsync(SecretsManager manager, List<PlannedEntry> writes, SecretPlace? place, CancellationToken cancellationToken)
    {
        var isNewInVault = manager.Store is null || place is SecretPlace.Vault;
        var (inVault, inStore) = (new List<KeyValuePair<SecretName, SecretValue>>(), new List<PlannedEntry>());
        foreach (var planned in writes)
        {
            if (planned.Place is null ? isNewInVault : planned.Place is Places.Vault)
            {
                inVault.Add(new(SecretName.Parse(planned.Target), planned.Entry.Value!));
            }
            else
            {
                inStore.Add(planned);
            }
        }

        var options = new SetOptions { Source = "import" };
        if (inVault.Count > 0)
        {
            foreach (var change in await manager.Vault.SetAsync(inVault, options, cancellationToken))
            {
                Changes.SayAbsorbed(change.Absorbed);
            }
        }

        if (inVault.Count > 0 || manager.Store is null)
        {
            Notice.Done($"stored {Count(inVault.Count)} in {manager.Vault.Describe()}");
        }

        if (manager.Store is { } store && (inStore.Count > 0 || inVault.Count == 0))
        {
            using (var progress = new Progress("secrets stored"))
            {
                foreach (var (done, planned) in inStore.Index())
                {
                    await manager.SetAsync(planned.Target, planned.Entry.Value!, options with { Into = SecretPlace.Store }, cancellationToken);
                    progress.Show(done + 1, inStore.Count);
                }
            }

            Notice.Done($"stored {Count(inStore.Count)} in {store.Describe()}");
        }
    }

    private static void Show(List<PlannedEntry> plan)
    {
        var table = new Table("NAME", "STEP", "IN THE FILE", "WHY");
        foreach (var (index, planned) in plan.Index())
        {
            table.Add(
                planned.IsHidden ? "-" : SecretsException.Show(planned.Target),
                Describe(planned.Step),
                planned.IsHidden ? $"(entry {index + 1})" : SecretsException.Show(planned.Entry.Name),
                planned.Reason ?? "-");
        }

        table.Write(Channel.Output);
    }

    private static void SayWhatIsLeft(string file, List<PlannedEntry> plan)
    {
        if (plan.Exists(planned => planned.Step == ImportStep.Keep))
        {
            Notice.Warn("what was there was kept; --overwrite replaces it");
        }

        if (file is not GivenFile.StandardInput)
        {
            Notice.Warn($"the values are still readable in {SecretsException.Show(file)}: remove it when you need it no more");
        }
    }

    private static void SayWhatRunRefuses(List<PlannedEntry> writes)
    {
        foreach (var planned in writes)
        {
            if (SecretName.Parse(planned.Target).ToEnvironmentVariable() is var variable && VariableNames.Steers(variable))
            {
                Notice.Warn($"'{planned.Target}' would set {variable}, which steers programs: run refuses it unless --env asks for it");
            }
        }
    }

    private static string Describe(ImportStep step) => step switch
    {
        ImportStep.New => "new",
        ImportStep.Keep => "keep",
        ImportStep.Overwrite => "overwrite",
        ImportStep.Same => "same",
        ImportStep.Skip => "skip",
        _ => "refused",
    };

    private static string Count(int secrets) => $"{secrets} {(secrets == 1 ? "secret" : "secrets")}";
}
