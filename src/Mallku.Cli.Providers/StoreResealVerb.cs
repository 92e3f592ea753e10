using System.CommandLine;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class StoreResealVerb : Verb
{
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "do not ask, also at a terminal" };

    internal StoreResealVerb() => Understand(_yes);

    internal override string? Notes =>
        "Makes a new data key, and seals anew under it what is under the ones before. Everybody goes on to read and write meanwhile. "
        + "One that was cut off is gone on with. The key that the machines have stays as it is. Asks only at a terminal.";

    internal override string[] Examples => ["mallku store reseal", "mallku store reseal --yes"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        invocation.RequireStore();
        var store = (await invocation.OpenManagerAsync(cancellationToken)).Store!;
        if (!invocation.Parsed.GetValue(_yes) && Prompt.IsPossible && !Prompt.Confirm($"seal everything in {store.Describe()} under a new data key?"))
        {
            Notice.Done("nothing was changed");
            return ExitCode.Failed;
        }

        using var progress = new Progress("secrets looked at");
        var resealed = await store.ResealAsync(progress.Show, cancellationToken);
        Notice.Done(
            $"{(resealed.IsResumed ? "went on with the reseal that was cut off: " : "")}{resealed.Secrets} {(resealed.Secrets == 1 ? "secret was" : "secrets were")} sealed anew, "
            + $"and all are under the data key {resealed.KeyId}");
        return ExitCode.Done;
    }
}
