using System.CommandLine;
using Mallku.Cli.Running;
using Mallku.Cli.Terminal;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class ImportVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "a .env file, or a JSON object of names and values; - is standard input" };
    private readonly Option<bool> _overwrite = new("--overwrite") { Description = "replace values that differ; they stay as versions" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "show what would be done, and do nothing" };

    internal ImportVerb() => Understand(_file, _overwrite, _dryRun);

    internal override string? Notes =>
        "Reads .env, the api_keys.json of the Python system, and the secrets.json of dotnet user-secrets. In names ':' and '__' become '_', "
        + "and in .env OPENAI_API_KEY becomes openai_api_key. Shows what it does with each entry, without values. All of it is one write; "
        + "a file that can't be read stores nothing. What has no value is skipped. Ends with 1 if an entry was refused.";

    internal override string[] Examples =>
    [
        "mallku import .env --dry-run",
        "mallku import .secrets/api_keys.json --overwrite",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var file = invocation.Parsed.GetRequiredValue(_file);
        var vault = invocation.OpenVault();
        await vault.RequireAsync(cancellationToken);
        var entries = ImportFile.Read(file);
        try
        {
            var plan = await ImportPlan.MakeAsync(entries, vault, invocation.Parsed.GetValue(_overwrite), cancellationToken);
            Show(plan);
            var writes = plan.Where(planned => planned.Step is ImportStep.New or ImportStep.Overwrite).ToList();
            if (invocation.Parsed.GetValue(_dryRun))
            {
                Notice.Done($"would store {Count(writes.Count)}; nothing was done");
            }
            else
            {
                await StoreAsync(vault, writes, cancellationToken);
                Notice.Done($"stored {Count(writes.Count)} in {vault.Describe()}");
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

    private static async ValueTask StoreAsync(FileVault vault, List<PlannedEntry> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 0)
        {
            return;
        }

        var values = writes.ConvertAll(planned => KeyValuePair.Create(SecretName.Parse(planned.Target), planned.Entry.Value!));
        foreach (var change in await vault.SetAsync(values, new SetOptions { Source = "import" }, cancellationToken))
        {
            Changes.SayAbsorbed(change.Absorbed);
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
            Notice.Warn("what the vault had was kept; --overwrite replaces it");
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
