using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Storage;

namespace Mallku.Cli.Commands;

internal sealed class StoreCopyVerb : Verb
{
    private readonly Option<string> _from = new("--from") { HelpName = "PLACE", Description = "vault or store", Required = true };
    private readonly Option<string> _to = new("--to") { HelpName = "PLACE", Description = "store or vault", Required = true };
    private readonly Option<string[]> _only = new("--only") { HelpName = "NAMES", Description = "only these secrets, separated by commas; may be repeated" };
    private readonly Option<string[]> _except = new("--except") { HelpName = "NAMES", Description = "all secrets but these, separated by commas; may be repeated" };
    private readonly Option<bool> _overwrite = new("--overwrite") { Description = "replace values that differ; they stay as versions" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "show what would be done, and do nothing" };

    internal StoreCopyVerb() => Understand(_from, _to, _only, _except, _overwrite, _dryRun);

    internal override string? Notes =>
        "Copies secrets with their versions, times and policies where they are new, else the current value alone. Shows what it does with each, without values. "
        + "Each is written whole and is read again; run it again where it was cut off. Nothing is removed where it was: the vault is asked first. "
        + "One that fails keeps no other from its turn. Ends with 1 if one was refused, or failed.";

    internal override string[] Examples =>
    [
        "mallku store copy --from vault --to store --dry-run",
        "mallku store copy --from vault --to store --only openai_api_key,mistral_key",
        "mallku store copy --from store --to vault --except session_key",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        invocation.RequireStore();
        var parsed = invocation.Parsed;
        var (from, to) = (Places.Parse(parsed.GetRequiredValue(_from), invocation)!.Value, Places.Parse(parsed.GetRequiredValue(_to), invocation)!.Value);
        if (from == to)
        {
            throw new UsageException("--from and --to are the same place", "write it as: mallku store copy --from vault --to store");
        }

        var selection = (Only: Split(parsed.GetValue(_only)), Except: Split(parsed.GetValue(_except)));
        if (selection is { Only.Count: > 0, Except.Count: > 0 })
        {
            throw new UsageException("--only and --except exclude each other", "name those that are copied, or those that are not");
        }

        var manager = await invocation.OpenManagerAsync(cancellationToken);
        if (!manager.HasVault)
        {
            throw new SecretsException($"there is no vault to copy {(from == SecretPlace.Vault ? "from" : "to")}; nothing was changed", "make one: mallku init");
        }

        await manager.Vault.RequireAsync(cancellationToken);
        ISecretStore source = from == SecretPlace.Vault ? manager.Vault : manager.Store!;
        var copy = new SecretCopy(source, to == SecretPlace.Vault ? manager.Vault : manager.Store!);
        var names = await ChooseAsync(source, selection.Only, selection.Except, cancellationToken);
        var plan = await PlanAsync(copy, names, parsed.GetValue(_overwrite), cancellationToken);
        Show(plan);
        var writes = plan.FindAll(static planned => planned.Step is CopyStep.New or CopyStep.Overwrite);
        if (parsed.GetValue(_dryRun))
        {
            Notice.Done($"would copy {Count(writes.Count)}; nothing was done");
            return ToExitCode(plan);
        }

        var failed = await DoAsync(copy, writes, cancellationToken);
        writes.RemoveAll(planned => failed.Exists(one => one.Planned == planned));
        Notice.Done($"copied {Count(writes.Count)} to the {(to == SecretPlace.Vault ? "vault" : "shared store")}");
        SayWhatIsLeft(plan, writes, source, to);
        foreach (var (planned, fault) in failed)
        {
            Notice.Warn($"{SecretsException.Show(planned.Name)}: {fault.Message}");
        }

        return failed.Count > 0 ? ExitCode.Failed : ToExitCode(plan);
    }

    private static List<string> Split(string[]? lists) =>
        [.. (lists ?? []).SelectMany(static list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];

    private static async ValueTask<IReadOnlyList<string>> ChooseAsync(ISecretStore source, List<string> only, List<string> except, CancellationToken cancellationToken)
    {
        var named = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var name in only.Concat(except))
        {
            // a misspelt name is an error: what it meant would be copied, or not
            named.Add(await source.FindAsync(SecretName.Existing(name), cancellationToken) is { Record: { Current: not null } record } ? record.Name : throw UsageErrors.NotFound(name, source.Describe()));
        }

        if (only.Count > 0)
        {
            return [.. named];
        }

        var all = new SortedSet<string>(StringComparer.Ordinal);
        await foreach (var secret in source.ReadAllAsync(cancellationToken))
        {
            if (secret.Record.Current is not null)
            {
                all.Add(secret.Record.Name);
            }
        }

        all.ExceptWith(named);
        return [.. all];
    }

    private static async ValueTask<List<PlannedCopy>> PlanAsync(SecretCopy copy, IReadOnlyList<string> names, bool overwrite, CancellationToken cancellationToken)
    {
        using var progress = new Progress("secrets looked at");
        return await copy.PlanAllAsync(names, overwrite, progress.Show, cancellationToken);
    }

    private static async ValueTask<List<(PlannedCopy Planned, SecretsException Fault)>> DoAsync(SecretCopy copy, List<PlannedCopy> writes, CancellationToken cancellationToken)
    {
        using var progress = new Progress("secrets copied");
        return await copy.DoAllAsync(writes, progress.Show, cancellationToken);
    }

    private static int ToExitCode(List<PlannedCopy> plan) => plan.Exists(static planned => planned.Step == CopyStep.Refused) ? ExitCode.Failed : ExitCode.Done;

    private static void Show(List<PlannedCopy> plan)
    {
        var table = new Table("NAME", "STEP", "VERSIONS", "WHY");
        foreach (var planned in plan)
        {
            table.Add(SecretsException.Show(planned.Name), Describe(planned.Step), planned.Versions == 0 ? "-" : planned.Versions.ToString(), planned.Reason ?? "-");
        }

        table.Write(Channel.Output);
    }

    private static void SayWhatIsLeft(List<PlannedCopy> plan, List<PlannedCopy> writes, ISecretStore source, SecretPlace to)
    {
        if (plan.Exists(static planned => planned.Step == CopyStep.Keep))
        {
            Notice.Warn("what was there was kept; --overwrite replaces it");
        }

        if (writes.Count(static planned => planned.Left > 0) is var shortened and > 0)
        {
            Notice.Warn($"{Count(shortened)} {(shortened == 1 ? "has" : "have")} fewer versions there than here, as shown above; the older ones stay where they are");
        }

        if (writes.Count > 0 && to == SecretPlace.Store)
        {
            Notice.Warn("a lookup here goes on to take the vault's: when every program has the store's, remove it there: mallku rm NAME");
        }

        foreach (var planned in writes.Where(static planned => planned.HasKeyToRevoke))
        {
            Notice.Warn($"the keys of {planned.Name} at its provider are still revoked by {source.Describe()}: before it is removed there, give that up: mallku rotate {planned.Name} --abandon");
        }
    }

    private static string Describe(CopyStep step) => step switch
    {
        CopyStep.New => "new",
        CopyStep.Overwrite => "overwrite",
        CopyStep.Keep => "keep",
        CopyStep.Same => "same",
        _ => "refused",
    };

    private static string Count(int secrets) => $"{secrets} {(secrets == 1 ? "secret" : "secrets")}";
}
