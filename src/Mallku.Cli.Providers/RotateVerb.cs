using System.CommandLine;
using Mallku.Cli.Terminal;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

internal sealed class RotateVerb : Verb
{
    private const string Never = "never";

    private readonly Argument<string?> _name = new("NAME") { Description = "the secret", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> _with = new("--with") { HelpName = "ROTATOR", Description = "generate (random values), command (a program of yours, after --), openai, xai, or assisted (you make the key, and are asked for it)" };
    private readonly Option<string?> _grace = new("--grace") { HelpName = "T", Description = "how long the version that is replaced may still be used: 24h at first" };
    private readonly Option<string?> _every = new("--every") { HelpName = "T", Description = "how old a version becomes, such as 90d; or never" };
    private readonly Option<string?> _cron = new("--cron") { HelpName = "EXPR", Description = "when a version is replaced, as a cron expression in UTC" };
    private readonly Option<string?> _tell = new("--tell") { HelpName = "WHO", Description = "who is to be told, as the output of --due repeats it" };
    private readonly Option<int?> _length = new("--length") { HelpName = "N", Description = "generate: how many characters; 43 at first" };
    private readonly Option<string?> _alphabet = new("--alphabet") { HelpName = "CHARS", Description = "generate: of which characters" };
    private readonly Option<string?> _prefix = new("--prefix") { HelpName = "TEXT", Description = "generate: what stands before them" };
    private readonly Option<string?> _account = new("--account") { HelpName = "ID", Description = "openai: the project in which keys are made; xai: the team" };
    private readonly Option<bool> _later = new("--later") { Description = "write down how, and rotate when it is due" };
    private readonly Option<bool> _resume = new("--resume") { Description = "go on with a rotation that failed or was cut off" };
    private readonly Option<bool> _abandon = new("--abandon") { Description = "give it up, and revoke its key" };
    private readonly Option<bool> _due = new("--due") { Description = "rotate all secrets that are due, and finish what is left to do" };
    private readonly Option<bool> _json = new("--json") { Description = "with --due: as a JSON array" };

    internal RotateVerb() => Understand(
        _name, _with, _grace, _every, _cron, _tell, _length, _alphabet, _prefix, _account, _later, _resume, _abandon, _due, _json);

    internal override bool TakesCommand => true;

    internal override bool NeedsCommand => false;

    internal override string? Notes =>
        "A new value is made, put where it is used, tried, and only then current; the one before may be used for its grace, and is then retired and revoked. "
        + "How a secret is rotated is kept with it, for the next time. Where a step fails, the current version stays in use. "
        + "The command runs once for each step, named by MALLKU_ROTATION_STEP: create (writes the value to standard output), set, test, revoke (read it from standard input) and discard. "
        + "--due is for a timer: it prints what it did, and ends with 1 if something failed or needs a person.";

    internal override string[] Examples =>
    [
        "mallku rotate session_key --with generate --every 30d",
        "mallku rotate db_password --grace 1h -- ./rotate-db.sh",
        "mallku rotate openai_api_key --with openai --account proj_abc --every 90d",
        "mallku rotate anthropic_api_key --with assisted",
        "mallku rotate db_password --resume",
        "mallku rotate --due --json",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var parsed = invocation.Parsed;
        var name = parsed.GetValue(_name);
        var command = FindCommand(invocation);
        RequireSense(parsed, name, command);
        using var rotations = await OpenedRotations.OpenAsync(invocation, cancellationToken);
        var wayOn = name is null ? "mallku rotate --due" : $"mallku rotate {SecretsException.Show(name)} --resume";
        return await rotations.UntilEndedAsync(ending => RunAsync(rotations, invocation, name, command, ending), wayOn);
    }

    private async ValueTask<int> RunAsync(OpenedRotations rotations, Invocation invocation, string? name, string[] command, CancellationToken cancellationToken)
    {
        var (parsed, runner) = (invocation.Parsed, rotations.Runner);
        if (parsed.GetValue(_due))
        {
            return await RunDueAsync(runner, parsed.GetValue(_json), cancellationToken);
        }

        if (parsed.GetValue(_abandon))
        {
            var status = Find(await runner.GetStatusAsync(cancellationToken), SecretName.Existing(name!));
            var settled = await runner.AbandonAsync(name!, cancellationToken);
            var stored = status?.Name ?? name!;
            Changes.SayLooseMatch(name!, stored);
            Notice.Done(status is { Pending: not null } && settled.All(static left => left.Action != RotationAction.KeyLeft)
                ? $"given up; the current version of {SecretsException.Show(stored)} stays in use"
                : $"given up what was left to do of {SecretsException.Show(stored)}");
            RotationWords.Say(settled);
            if (Find(await runner.GetStatusAsync(cancellationToken), SecretName.Existing(stored)) is { Unanswered: [var unanswered, ..] })
            {
                Notice.Done($"the key of version {unanswered} was asked for and never came; it is looked for by: mallku rotate --due");
            }

            // the new value may be in use, and is about to be revoked
            return settled.Any(static done => done.Action == RotationAction.NotPutBack) ? ExitCode.Failed : ExitCode.Done;
        }

        if (parsed.GetValue(_resume))
        {
            var resumed = await runner.ResumeAsync(name!, cancellationToken);
            Changes.SayLooseMatch(name!, resumed.Name);
            RotationWords.Say(resumed, invocation.Options.TimeProvider.GetUtcNow());
            return ExitCode.Done;
        }

        var policy = Change(await runner.GetPolicyAsync(name!, cancellationToken), parsed, command);
        if (parsed.GetValue(_later))
        {
            await runner.SetPolicyAsync(name!, policy, cancellationToken);
            Notice.Done($"noted; {SecretsException.Show(name!)} is not rotated now");
            rotations.SayWhatIsNotTried(name!, policy);
            return ExitCode.Done;
        }

        var rotated = await runner.RotateAsync(name!, policy, cancellationToken);
        Changes.SayLooseMatch(name!, rotated.Name);
        RotationWords.Say(rotated, invocation.Options.TimeProvider.GetUtcNow());
        await Changes.SayEnvironmentAsync(rotated.Name, cancellationToken);
        return ExitCode.Done;
    }

    private static async ValueTask<int> RunDueAsync(RotationRunner runner, bool json, CancellationToken cancellationToken)
    {
        var events = await runner.RunDueAsync(cancellationToken);
        if (json)
        {
            RotationWords.WriteJson(events);
        }
        else if (events.Count > 0 || !Channel.Output.IsTerminal)
        {
            RotationWords.Write(events);
        }
        else
        {
            Notice.Done("nothing is due");
        }

        return events.Any(done => done.Action is RotationAction.Failed or RotationAction.NeedsPerson) ? ExitCode.Failed : ExitCode.Done;
    }

    // as the runner finds it
    private static RotationStatus? Find(IReadOnlyList<RotationStatus> all, SecretName name) =>
        all.FirstOrDefault(status => status.Name == name.ToString()) ?? all.FirstOrDefault(status => SecretName.Existing(status.Name).Fold() == name.Fold());

    private static string[] FindCommand(Invocation invocation) =>
        Array.IndexOf(invocation.Arguments, "--") is var separator and >= 0 ? invocation.Arguments[(separator + 1)..] : [];

    private void RequireSense(ParseResult parsed, string? name, string[] command)
    {
        Option[] how = [_with, _grace, _every, _cron, _tell, _length, _alphabet, _prefix, _account, _later];
        var saysHow = how.Any(option => parsed.GetResult(option) is { Implicit: false }) || command.Length > 0;
        int[] ways = [parsed.GetValue(_due) ? 1 : 0, parsed.GetValue(_resume) ? 1 : 0, parsed.GetValue(_abandon) ? 1 : 0, saysHow ? 1 : 0];
        if (ways.Sum() > 1)
        {
            throw new UsageException("--due, --resume and --abandon stand alone", "see how it is written: mallku help rotate");
        }

        if (name is null != parsed.GetValue(_due))
        {
            throw name is null
                ? new UsageException("'rotate' needs NAME, or --due", "see how it is written: mallku help rotate")
                : new UsageException("--due is about all secrets", "write it as: mallku rotate --due");
        }

        if (parsed.GetValue(_json) && !parsed.GetValue(_due))
        {
            throw new UsageException("--json goes with --due", "write it as: mallku rotate --due --json");
        }

        if (parsed.GetValue(_every) is not null && parsed.GetValue(_cron) is not null)
        {
            throw new UsageException("--every and --cron exclude each other", "leave one of them out");
        }
    }

    // what is not said stays as it is
    private RotationPolicy Change(RotationPolicy? known, ParseResult parsed, string[] command)
    {
        var rotator = parsed.GetValue(_with) ?? (command.Length > 0 ? "command" : known?.Rotator)
            ?? throw new UsageException("nobody has said yet how it is rotated", "say it: --with generate, or a command after '--'");
        if (command.Length > 0 && rotator != "command")
        {
            throw new UsageException("a command goes with --with command alone", "write it as: mallku rotate NAME -- COMMAND");
        }

        if (command.Length > 0 && StepProgram.Find(command[0]) is var program && program != command[0])
        {
            command = [program, .. command[1..]];
            Notice.Done($"the program is kept as {SecretsException.Show(program)}");
        }

        var policy = (known ?? new RotationPolicy { Rotator = rotator }) with { Rotator = rotator };
        var (grace, every, cron) = (parsed.GetValue(_grace), parsed.GetValue(_every), parsed.GetValue(_cron));
        policy = policy with
        {
            Grace = grace is null ? policy.Grace : Duration.ParseGrace(grace),
            Command = command.Length > 0 ? command : policy.Command,
            Length = parsed.GetValue(_length) ?? policy.Length,
            Alphabet = parsed.GetValue(_alphabet) ?? policy.Alphabet,
            Prefix = parsed.GetValue(_prefix) ?? policy.Prefix,
            Account = parsed.GetValue(_account) ?? policy.Account,
            Tell = parsed.GetValue(_tell) ?? policy.Tell,
        };
        return (every, cron) switch
        {
            (Never, _) => policy with { Every = null, Cron = null },
            ({ } time, _) => policy with { Every = Duration.ParseEvery(time), Cron = null },
            (_, { } expression) => policy with { Every = null, Cron = expression },
            _ => policy,
        };
    }
}
