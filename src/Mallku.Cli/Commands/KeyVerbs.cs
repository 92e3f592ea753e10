using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Vault;

namespace Mallku.Cli.Commands;

internal sealed class KeyStatusVerb : Verb
{
    private readonly Option<bool> _json = new("--json") { Description = "as a JSON object" };

    internal KeyStatusVerb() => Understand(_json);

    internal override bool UsesStore => false;

    internal override string[] Examples => ["mallku key status", "mallku key status --json"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var status = await VaultKeys.GetStatusAsync(invocation.OpenVault(), cancellationToken);
        if (invocation.Parsed.GetValue(_json))
        {
            WriteJson(status);
        }
        else
        {
            WriteText(status, invocation.Options.TimeProvider.GetUtcNow());
        }

        return status.Problem is { } problem ? Notice.Report(problem) : ExitCode.Done;
    }

    private static void WriteText(KeyStatus status, DateTimeOffset now)
    {
        var table = new Table("WHAT", "HOW IT IS");
        table.Add("origin", status.Origin);
        table.Add("path", status.Path ?? "-");
        table.Add("created", Moment.Show(status.Created, now, Channel.Output));
        table.Add("opens the vault", YesOrNo(status.Opens));
        table.Add("beside the data", YesOrNo(status.BesideData));
        table.Add("former key kept", YesOrNo(status.FormerKeyKept));
        table.Add("rotation interrupted", YesOrNo(status.RotationInterrupted));
        table.Write(Channel.Output);
    }

    private static string YesOrNo(bool answer) => answer ? "yes" : "no";

    private static void WriteJson(KeyStatus status) => Json.Write(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("origin", status.Origin);
        writer.WriteString("path", status.Path);
        writer.WriteTimeOrNull("created", status.Created);
        writer.WriteBoolean("opens", status.Opens);
        writer.WriteBoolean("besideData", status.BesideData);
        writer.WriteBoolean("formerKeyKept", status.FormerKeyKept);
        writer.WriteBoolean("rotationInterrupted", status.RotationInterrupted);
        writer.WriteEndObject();
    });
}

internal sealed class KeyRotateVerb : Verb
{
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "do not ask, also at a terminal" };

    internal KeyRotateVerb() => Understand(_yes);

    internal override string? Notes =>
        "The former key and the former vault are kept beside the new ones until you remove them. Asks only at a terminal. "
        + "A program that runs on with the old key must be started again.";

    internal override bool UsesStore => false;

    internal override string[] Examples => ["mallku key rotate", "mallku key rotate --yes"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var vault = invocation.OpenVault();
        if (!invocation.Parsed.GetValue(_yes) && Prompt.IsPossible && !Prompt.Confirm($"encrypt {vault.Describe()} with a new key?"))
        {
            Notice.Done("nothing was changed");
            return ExitCode.Failed;
        }

        var rotation = await VaultKeys.RotateAsync(vault, cancellationToken);
        Notice.Done($"rotated the key of {rotation.Secrets} {(rotation.Secrets == 1 ? "secret" : "secrets")}: {rotation.KeyFile}");
        Notice.Done($"the former key is kept: {rotation.FormerKeyFile}");
        Changes.SayAbsorbed(rotation.Absorbed);
        return ExitCode.Done;
    }
}

internal sealed class KeyRecoverVerb : Verb
{
    private readonly Option<bool> _asIs = new("--as-is") { Description = "take the vault file as it is: you put it there" };

    internal KeyRecoverVerb() => Understand(_asIs);

    internal override string? Notes =>
        "Another program may write the vault with a former key, start it afresh, or write an older state over it: this takes over what it wrote "
        + "and keeps the rest. A damaged vault is put aside, and its former state takes its place. With --as-is nothing is merged: "
        + "a secret that the file has not is a removed one.";

    internal override bool UsesStore => false;

    internal override string[] Examples => ["mallku key recover", "mallku key recover --as-is"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var recovery = await VaultRecovery.RecoverAsync(invocation.OpenVault(), invocation.Parsed.GetValue(_asIs), cancellationToken);
        foreach (var name in recovery.Names)
        {
            Notice.Done($"merged {SecretsException.Show(name)}");
        }

        foreach (var name in recovery.Kept)
        {
            Notice.Done($"kept {SecretsException.Show(name)}, which that program had removed");
        }

        if (recovery.AsIs is { } taken)
        {
            Notice.Done($"the vault file is used as it is, with {taken.Secrets} {(taken.Secrets == 1 ? "secret" : "secrets")}");
            foreach (var name in taken.Removed)
            {
                Notice.Done($"removed {SecretsException.Show(name)}, which the state before it had and it has not");
            }

            if (taken.IsUntold)
            {
                Notice.Warn("the ledger is switched off and does not know that an older vault is wanted: where it is on again, say so once more: mallku key recover --as-is");
            }
        }
        else if (recovery.Names.Count == 0 && recovery.Kept.Count == 0)
        {
            Notice.Done("the former state is back");
        }

        if (recovery.DamagedFile is { } damaged)
        {
            Notice.Done($"the damaged file is kept: {damaged}");
        }

        if (recovery.IsFromFormerFile)
        {
            Notice.Warn("what the last write before it changed may be missing: the former file is from before that; see mallku list");
        }

        return ExitCode.Done;
    }
}
