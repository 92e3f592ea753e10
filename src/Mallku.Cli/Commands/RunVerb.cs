using System.CommandLine;
using Mallku.Cli.Native;
using Mallku.Cli.Running;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class RunVerb : Verb
{
    private readonly Option<string[]> _only = new("--only") { HelpName = "NAMES", Description = "only these secrets, separated by commas; may be repeated" };
    private readonly Option<string[]> _except = new("--except") { HelpName = "NAMES", Description = "all secrets but these, separated by commas; may be repeated" };
    private readonly Option<string[]> _env = new("--env") { HelpName = "VAR=NAME", Description = "the secret NAME as the variable VAR; may be repeated" };

    internal RunVerb() => Understand(_only, _except, _env);

    internal override bool TakesCommand => true;

    internal override bool LooksUpSeveral => true;

    internal override string? Notes =>
        "The secret openai_api_key becomes OPENAI_API_KEY; a variable that is set already is kept, as in every lookup. "
        + "With --env alone only those are passed. The command takes mallku's place: signals and exit code are its own. "
        + "Variables that steer loaders and interpreters, such as PATH or LD_PRELOAD, are set only by --env; --except leaves out what can't be passed. "
        + "MALLKU_ENCRYPTION_KEY and MALLKU_STORE_KEY are not handed on, nor a store's password: the command gets secrets, not the key to all of them.";

    internal override string[] Examples =>
    [
        "mallku run -- python app.py",
        "mallku run --only openai_api_key,mistral_api_key -- ./council",
        "mallku run --except session_key -- ./council",
        "mallku run --env LLM_KEY=openai_api_key -- node bot.js",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var separator = Array.IndexOf(invocation.Arguments, "--");
        if (separator < 0 || separator + 1 == invocation.Arguments.Length)
        {
            throw new UsageException("'run' needs a command after '--'", "write it as: mallku run -- COMMAND");
        }

        var wanted = WantedSecrets.Parse(
            invocation.Parsed.GetValue(_only) ?? [], invocation.Parsed.GetValue(_except) ?? [], invocation.Parsed.GetValue(_env) ?? []);
        // the program's name and none of its arguments, which may hold anything
        var purpose = "run " + SecretsException.Show(Path.GetFileName(invocation.Arguments[separator + 1]));
        var manager = await (invocation with { Options = invocation.Options with { Purpose = purpose } }).OpenManagerAsync(cancellationToken);
        var secrets = await wanted.FindAsync(manager, cancellationToken);
        if (secrets.Count == 0)
        {
            Notice.Warn("the command gets no secret; what there is: mallku list");
        }

        var environment = ChildEnvironment.Merge(CallerBytes.GetEnvironment(), secrets);
        var command = CallerBytes.GetArguments(invocation.Arguments).GetRange(separator + 1, invocation.Arguments.Length - separator - 1);
        Replacement.Require(command);

        // only now, when nothing is in the way of their use any more
        await manager.HandOutAsync(secrets.Select(secret => secret.Found), cancellationToken);
        await invocation.TellStoreAsync();
        await invocation.CloseStoresAsync();
        return Replacement.Run(command, environment);
    }
}
