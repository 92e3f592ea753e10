using System.CommandLine;
using System.Security.Cryptography;
using Mallku.Cli.Terminal;

namespace Mallku.Cli.Commands;

internal sealed class GetVerb : Verb
{
    private readonly Argument<string> _name = new("NAME") { Description = "the secret" };
    private readonly Option<bool> _bare = new("-n") { Description = "without the newline at the end" };

    internal GetVerb() => Understand(_name, _bare);

    internal override string[] Examples => ["mallku get openai_api_key", "mallku get -n openai_api_key | wl-copy"];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken) =>
        Print(await invocation.OpenManagerAsync(cancellationToken), invocation.Parsed.GetRequiredValue(_name), newline: !invocation.Parsed.GetValue(_bare));

    /// <summary>Prints the value and nothing else. Synchronous: most calls of mallku are this one, and each pays for what is here.</summary>
    internal static int Print(SecretsManager manager, string name, bool newline)
    {
        var lookup = manager.GetRequiredAsync(name);
        var value = lookup.IsCompletedSuccessfully ? lookup.Result : lookup.AsTask().GetAwaiter().GetResult();

        var line = SecretValue.Allocate(value.Length + 1);
        try
        {
            var length = value.CopyUtf8To(line);
            if (newline)
            {
                line[length++] = (byte)'\n';
            }

            Channel.Output.Write(line.AsSpan(0, length));
            return ExitCode.Done;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(line);
        }
    }
}
