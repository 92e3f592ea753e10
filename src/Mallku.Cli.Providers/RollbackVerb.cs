using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class RollbackVerb : Verb
{
    private readonly Argument<string> _name = new("NAME") { Description = "the secret" };
    private readonly Argument<int?> _version = new("VERSION") { Description = "the version whose value is wanted; the newest before the current one where it is left out", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> _grace = new("--grace") { HelpName = "T", Description = "how long the version that is replaced may still be used" };

    internal RollbackVerb() => Understand(_name, _version, _grace);

    internal override string? Notes =>
        "The value becomes a new version: numbers only grow, and the history shows what happened. A version whose key was revoked can't come back.";

    internal override string[] Examples => ["mallku rollback openai_api_key", "mallku rollback openai_api_key 3 --grace 0"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var given = invocation.Parsed.GetRequiredValue(_name);
        TimeSpan? grace = invocation.Parsed.GetValue(_grace) is { } text ? Duration.ParseGrace(text) : null;
        using var rotations = await OpenedRotations.OpenAsync(invocation, cancellationToken);
        var version = invocation.Parsed.GetValue(_version);
        var back = await rotations.UntilEndedAsync(ending => rotations.Runner.RollBackAsync(given, version, grace, ending), $"mallku rotate {SecretsException.Show(given)} --resume");
        Changes.SayLooseMatch(given, back.Name);
        var before = back.GraceEnds is { } ends ? $"may be used until {Moment.Iso(ends)}" : "is not used any more";
        Notice.Done($"set {back.Name}, version {back.Version}, to the value of version {back.Restored}; version {back.Replaced} {before}");
        Changes.SayAbsorbed(back.Absorbed);
        await Changes.SayEnvironmentAsync(back.Name, cancellationToken);
        return ExitCode.Done;
    }
}
