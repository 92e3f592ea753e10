namespace Mallku.Cli.Transfer;

/// <summary>A name and a value as a file has them.</summary>
/// <param name="Name">As it stands in the file.</param>
/// <param name="Value">The value, or null where there is none that could be one.</param>
/// <param name="Refusal">Why what is there can't be a value.</param>
/// <param name="IsVariable">Whether the name is a variable's, and not a secret's own.</param>
internal sealed record Entry(string Name, SecretValue? Value, string? Refusal = null, bool IsVariable = false)
{
    internal bool IsEmpty => Value is { Length: 0 } || (Value is null && Refusal is null);
}
