namespace Mallku.Cli.Transfer;

/// <summary>A name and a value as a file has them.</summary>
/// <param name="Name">As it stands in the file.</param>
/// <param name="Value">The value, or null where it can't be one.</param>
/// <param name="Refusal">Why there is no value.</param>
internal sealed record Entry(string Name, SecretValue? Value, string? Refusal = null);
