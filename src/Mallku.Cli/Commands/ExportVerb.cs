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

    private readonly Option<string[]> _only = new("--only") { HelpName = "NAMES", Description = "only these secrets, separated by commas; may be repeated" };
    private readonly Option<string[]> _except = new("--except") { HelpName = "NAMES", Description = "all secrets but these, separated by commas; may be repeated" };

    internal ExportVerb() => Understand(_format, _only, _except);

    internal override bool LooksUpSeveral => true;

    internal override string? Notes =>
        "Prints every value, in the clear, as a lookup finds it: an environment variable that is set wins. env and shell name "
        + "variables (OPENAI_API_KEY), json names secrets. json can be imported again under the same names, env in lower case. "
        + "env and shell refuse variables that steer loaders and interpreters, such as PATH or LD_PRELOAD; --except leaves out what can't be exported.";

    internal override string[] Examples =>
    [
        "eval \"$(mallku export --format shell)\"",
        "mallku export --format env --only openai_api_key",
        "mallku export --format json | jq -r .openai_api_key",
    ];

    internal override async ValueTask<int> RunAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        var format = invocation.Parsed.GetRequiredValue(_format);
        if (!Formats.Contains(format))
        {
            throw new UsageException("--format is env, json or shell", "write it as: mallku export --format env");
        }

        var selection = Selection.Parse(
            invocation.Parsed.GetValue(_only) ?? [], invocation.Parsed.GetValue(_except) ?? [], $"mallku export --format {format} OPTION");
        var manager = await invocation.OpenManagerAsync(cancellationToken, LedgerKind.Exported);
        var found = await selection.FindAsync(manager, name => format is "json" || IsVariable(name), cancellationToken);
        if (found.Count == 0 && manager.Store is null)
        {
            await AbsentVault.SayAsync(manager.Vault, cancellationToken);
        }

        var secrets = found.DistinctBy(secret => secret.Name, StringComparer.Ordinal).ToList();
        var text = new ArrayBufferWriter<byte>();
        switch (format)
        {
            case "json":
                WriteJson(secrets, text);
                break;
            case "env":
                WriteVariables(secrets, selection, text, DotEnv.Format);
                break;
            default:
                WriteVariables(secrets, selection, text, ShellText.Format);
                break;
        }

        await manager.HandOutAsync(secrets, cancellationToken);
        Channel.Output.Write(text.WrittenSpan);
        text.Clear();
        return ExitCode.Done;
    }

    private static bool IsVariable(string name)
    {
        if (VariableNames.IsValid(SecretName.Existing(name).ToEnvironmentVariable()))
        {
            return true;
        }

        Notice.Warn($"'{SecretsException.Show(name)}' is left out: it is no name for a variable; --format json has it");
        return false;
    }

    private static void WriteVariables(List<FoundSecret> secrets, Selection selection, ArrayBufferWriter<byte> text, Func<string, string, string> format)
    {
        // what is printed is for eval, or for what loads a .env file
        selection.RefuseSteering(secrets, static (name, _) => $"use --format json; one value alone: mallku get {name}");
        var taken = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var secret in secrets)
        {
            var variable = SecretName.Existing(secret.Name).ToEnvironmentVariable();
            if (!VariableNames.IsValid(variable))
            {
                throw new SecretsException($"'{SecretsException.Show(secret.Name)}' is no name for a variable", "use --format json");
            }

            if (!taken.TryAdd(variable, secret.Name))
            {
                throw new SecretsException(
                    $"'{taken[variable]}' and '{secret.Name}' would both be the variable {variable}", $"{selection.WayOut(secret.Name)}, or use --format json");
            }

            var value = secret.Value.RevealString();
            if (value.Contains('\0', StringComparison.Ordinal))
            {
                throw new SecretsException(
                    $"the value of '{secret.Name}' has a zero byte, which no variable can hold", $"{selection.WayOut(secret.Name)}, or use --format json");
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
