using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Mallku.Cli.Native;

/// <summary>
/// The program beside this one, <c>mallku-providers</c>: the same command, with what would slow the start of <c>mallku</c>
/// linked in (decision 07). Who needs it goes on there with the same arguments, and never comes back: exit code and signals
/// are that program's.
/// </summary>
internal static class SecondProgram
{
    private const string Name = "mallku-providers";

    /// <param name="task">What it is needed for, as the subject of a sentence.</param>
    /// <exception cref="SecretsException">It is not there, or can't be started.</exception>
    [DoesNotReturn]
    internal static void GoOn(string task)
    {
        var program = Path.Combine(AppContext.BaseDirectory, Name);
        if (!File.Exists(program))
        {
            throw new SecretsException($"{task} by '{program}', which is not there", "install it beside mallku: both come with one publish");
        }

        var arguments = CallerBytes.GetArguments(Environment.GetCommandLineArgs()[1..]);
        arguments.Insert(0, Encoding.UTF8.GetBytes(program));
        Environment.Exit(Replacement.Run(arguments, CallerBytes.GetEnvironment()));
    }
}
