using Mallku.Cli.Terminal;
using Mallku.Secrets.Rotation;

namespace Mallku.Cli.Commands;

/// <summary>What rotations did and what is still to be done, in words.</summary>
internal static class RotationWords
{
    internal static readonly string[] Rotators = ["generate", "command", "openai", "xai", "assisted"];

    /// <summary>The most pressing thing to say of a secret, in one word; null for nothing.</summary>
    internal static string? Describe(RotationStatus? status) => status switch
    {
        null => null,
        { Dead: not null } => "revoked",
        { Pending: not null } => "pending",
        { Fault: not null } => "faulty",
        { Need: RotationNeed.Overdue } => "overdue",
        { Need: RotationNeed.Due } => "due",
        { Unrevoked.Count: > 0 } or { Unanswered.Count: > 0 } => "unrevoked",
        { Need: RotationNeed.Fresh } => "planned",
        { IsNeverReplaced: true } => "never",
        _ => null,
    };

    internal static string ToText(RotationAction action) => action switch
    {
        RotationAction.Rotated => "rotated",
        RotationAction.Retired => "retired",
        RotationAction.Revoked => "revoked",
        RotationAction.NeedsPerson => "needs-person",
        RotationAction.KeyLeft => "left",
        _ => "failed",
    };

    internal static void Say(RotatedSecret rotated, DateTimeOffset now)
    {
        var before = rotated.GraceEnds > now ? $"may be used until {Moment.Iso(rotated.GraceEnds)}" : "is retired";
        Notice.Done($"rotated {rotated.Name}, version {rotated.Version}; version {rotated.Replaced} {before}");
        Say(rotated.Settled);
        Changes.SayAbsorbed(rotated.Absorbed);
    }

    /// <summary>What became of versions that are not in use any more.</summary>
    internal static void Say(IEnumerable<RotationEvent> settled)
    {
        foreach (var done in settled)
        {
            if (done.Error is { } said && (done.Action == RotationAction.NotPutBack || done.Version is null))
            {
                Notice.Warn($"{said.Problem}; {said.Remedy}");
            }
            else if (done.Action == RotationAction.KeyLeft)
            {
                Notice.Warn($"the key of version {done.Version} of {done.Name} is left alone: where it is live, it stays so");
            }
            else if (done.Error is { } error)
            {
                Notice.Warn($"version {done.Version} of {done.Name} is not revoked: {error.Problem}; it is tried again by: mallku rotate --due");
            }
            else
            {
                Notice.Done($"{ToText(done.Action)} version {done.Version} of {done.Name}");
            }
        }
    }

    /// <summary>What was done with all secrets; the same columns at a terminal and in a pipe.</summary>
    internal static void Write(IReadOnlyList<RotationEvent> events)
    {
        var table = new Table("NAME", "DONE", "VERSION", "TELL", "WHY NOT");
        foreach (var done in events)
        {
            table.Add(done.Name, ToText(done.Action), done.Version?.ToString() ?? "-", done.Tell is { } tell ? SecretsException.Show(tell) : "-", Why(done) ?? "-");
        }

        table.Write(Channel.Output);
    }

    internal static void WriteJson(IReadOnlyList<RotationEvent> events) => Json.WriteArray(events, static (writer, done) =>
    {
        writer.WriteStartObject();
        writer.WriteString("name", done.Name);
        writer.WriteString("done", ToText(done.Action));
        writer.WriteNumberOrNull("version", done.Version);
        writer.WriteString("tell", done.Tell);
        writer.WriteErrorOrNull("error", done.Error);
        writer.WriteEndObject();
    });

    private static string? Why(RotationEvent done) => done.Action == RotationAction.NeedsPerson
        ? $"a person has to do it: mallku rotate {SecretsException.Show(done.Name)}{(done.Version is null ? "" : " --resume, or give it up: --abandon")}"
        : done.Error is { } error ? $"{error.Problem}: {error.Remedy}".ReplaceLineEndings(" ") : null;
}
