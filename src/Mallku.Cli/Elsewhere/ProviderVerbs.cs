using System.Text;
using Mallku.Cli.Native;

namespace Mallku.Cli.Commands;

/// <summary>
/// The verbs of the program beside this one, <c>mallku-providers</c>, which is the same command with the providers' clients
/// linked in. Whoever asks for one of them, or for its help or completion, goes on there with the same arguments.
/// </summary>
internal static class ProviderVerbs
{
    private const string Program = "mallku-providers";

    internal static Verb Adapters() => GoOn();

    internal static Verb AdaptersTest() => GoOn();

    internal static Verb Rotate() => GoOn();

    internal static Verb Rollback() => GoOn();

    private static Verb GoOn()
    {
        var program = Path.Combine(AppContext.BaseDirectory, Program);
        if (!File.Exists(program))
        {
            throw new SecretsException($"this verb is done by '{program}', which is not there", "install it beside mallku: both come with one publish");
        }

        var arguments = CallerBytes.GetArguments(Environment.GetCommandLineArgs()[1..]);
        arguments.Insert(0, Encoding.UTF8.GetBytes(program));
        Environment.Exit(Replacement.Run(arguments, CallerBytes.GetEnvironment()));
        return null!;
    }
}
