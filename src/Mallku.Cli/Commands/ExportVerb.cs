using System.Buffers;
using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mallku.Cli.Running;
using Mallku.Cli.Terminal;
using Mallku.Cli.Transfer;
using Mallku.Secrets.Ledger;

namespace Mallku.Cli.Commands;

internal sealed class ExportVerb : Verb
{
    internal static readonly string[] Formats = ["env", "json", "shell"];

    private readonly Option<string> _format = new("--format") { HelpName = "FORMAT", Description = "env, json or shell", Required = true };

    internal ExportVerb() => Understand(_format);

    internal override bool LooksUpSeveral => true;

    internal override string? Notes =>
        "Prints every value, in the clear, as a lookup finds it: an environment variable that is set wins. env and shell name "
        + "variables (OPENAI_API_KEY), json names secrets. json can be imported again under the same names, env in lower case.";

    internal override string[] Examples =>
    [
        "eval \"$(mallku export --format shell)\"",
        "mallku export --format json | jq -r .openai_api_key",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var format = invocation.Parsed.GetRequiredValue(_format);
        if (!Formats.Contains(format))
        {
            throw new UsageException("--format is env, json or shell", "write it as: mallku export --format env");
        }

        var secrets = await FindAllAsync(invocation.OpenManager(LedgerKind.Exported), cancellationToken);
        var text = new ArrayBufferWriter<byte>();
        switch (format)
        {
            case "json":
                WriteJson(secrets, text);
                break;
            case "env":
                WriteVariables(secrets, text, DotEnv.Format);
                break;
            default:
                WriteVariables(secrets, text, ShellText.Format);
                break;
        }

        Channel.Output.Write(text.WrittenSpan);
        text.Clear();
        return ExitCode.Done;
    }

    private static async ValueTask<List<FoundSecret>> FindAllAsync(SecretsManager manager, CancellationToken cancellationToken)
    {
        // all at once, so that they share one flush of the ledger
        var all = await manager.ListAsync(cancellationToken);
        var lookups = all.Select(secret => manager.FindAsync(secret.Name, cancellationToken).AsTask()).ToList();
        await Task.WhenAll(lookups);
        var found = new List<FoundSecret>();
        for (var i = 0; i < all.Count; i++)
        {
            if (await lookups[i] is { } known)
            {
                found.Add(known with { Name = all[i].Name });
            }
        }

        return found;
    }

    private static void WriteVariables(List<FoundSecret> secrets, ArrayBufferWriter<byte> text, Func<string, string, string> format)
    {
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var secret in secrets)
        {
            var variable = SecretName.Existing(secret.Name).ToEnvironmentVariable();
            if (!VariableNames.IsValid(variable))
            {
                Notice.Warn($"'{SecretsException.Show(secret.Name)}' is left out: it is no name for a variable; --format json has it");
                continue;
            }

            if (!taken.TryAdd(variable, secret.Name))
            {
                throw new SecretsException(
                    $"'{taken[variable]}' and '{secret.Name}' would both be the variable {variable}", "use --format json, or rename one of them");
            }

            var value = secret.Value.RevealString();
            if (value.Contains('\0', StringComparison.Ordinal))
            {
                throw new SecretsException($"the value of '{secret.Name}' has a zero byte, which no variable can hold", "use --format json");
            }

            text.Write(Encoding.UTF8.GetBytes(format(variable, value)));
        }
    }

    private static void WriteJson(List<FoundSecret> secrets, ArrayBufferWriter<byte> text)
    {
        using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            foreach (var secret in secrets)
            {
                var value = secret.Value.RevealUtf8();
                writer.WriteString(secret.Name, value);
                CryptographicOperations.ZeroMemory(value);
            }

            writer.WriteEndObject();
        }

        text.Write("\n"u8);
    }
}
