using System.CommandLine;
using System.Text;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class HelpVerb : Verb
{
    private readonly Argument<string[]> _verb = new("VERB") { Description = "the verb", Arity = ArgumentArity.ZeroOrMore };

    internal HelpVerb() => Understand(_verb);

    internal override bool UsesStore => false;

    internal override string[] Examples => ["mallku help", "mallku help run"];

    internal override ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var words = invocation.Parsed.GetValue(_verb);
        if (words is not { Length: > 0 })
        {
            return new(PrintOverview());
        }

        var entry = VerbTable.Find(words, out _);
        return new(Print(entry, entry.Build()));
    }

    /// <summary>What mallku is, its verbs, and what holds for all of them.</summary>
    internal static int PrintOverview()
    {
        var text = new StringBuilder("""
            mallku keeps the API keys of AI models: encrypted at rest, handed to the program
            that needs them, and nowhere else.

            Usage: mallku [--dir DIR] [--store URL] VERB ...


            """);
        foreach (var entry in VerbTable.All.Where(entry => !entry.IsHidden))
        {
            HelpText.AppendEntry(text, entry.Name, entry.Summary);
        }

        text.Append("""

              --dir DIR        the vault's folder, with every verb
              --store URL      the shared store, with every verb that uses secrets
              --version        print the version

            A lookup asks the environment first (openai_api_key is OPENAI_API_KEY), then the
            vault: ./.secrets, or the nearest one upwards within the repository. Then, where
            one is named, the shared store.

              MALLKU_SECRETS_DIR      the vault's folder
              MALLKU_KEY_FILE         the file that holds the vault's key
              MALLKU_ENCRYPTION_KEY   the vault's key itself
              MALLKU_LEDGER_DIR       the folder of the vault's ledger
              MALLKU_LEDGER_KEY       the public key that the ledger must have, or its file
              MALLKU_WITNESS_FILE     a file that gets each new checkpoint of the ledger
              MALLKU_WITNESS_COMMAND  a command that gets it
              MALLKU_STORE            the URL of the shared store, such as postgres://...
              MALLKU_STORE_PASSWORD   its password; _FILE names its file, _SECRET its secret
              MALLKU_STORE_KEY_FILE   the file that holds the store's key

            Exit codes: 0 done, 1 failed, 2 usage, 3 no such secret, 4 the vault or the
            store can't be opened. More of a verb: mallku help VERB

            Examples:
              mallku init
              mallku set openai_api_key
              mallku run -- python app.py

            """);
        Channel.Output.Write(text.ToString());
        return ExitCode.Done;
    }

    internal static int Print(VerbEntry entry, Verb verb)
    {
        Channel.Output.Write(HelpText.Of(entry, verb));
        return ExitCode.Done;
    }
}
