namespace Mallku.Secrets.Files;

/// <summary>Variables that open a whole vault or store: what is started from here gets one value, or a checkpoint, and none of them.</summary>
internal static class OwnVariables
{
    internal const string Store = "MALLKU_STORE";
    private static readonly string[] Keys = ["MALLKU_ENCRYPTION_KEY", "MALLKU_STORE_KEY", "MALLKU_STORE_PASSWORD"];

    /// <summary>Takes them out of what a program is to be started with.</summary>
    internal static void Withhold(IDictionary<string, string?> environment)
    {
        foreach (var name in environment.Where(static variable => IsWithheld(variable.Key, variable.Value)).Select(static variable => variable.Key).ToList())
        {
            environment.Remove(name);
        }
    }

    internal static bool IsWithheld(string name, string? value) => Keys.Contains(name, StringComparer.Ordinal) || (name == Store && value is not null && HasPassword(value));

    /// <summary>Whether a user's password stands in a store's URL.</summary>
    internal static bool HasPassword(string url)
    {
        var start = url.IndexOf("://", StringComparison.Ordinal);
        var authority = start < 0 ? url : url[(start + 3)..].Split('/', '?', '#')[0];

        // an '@' in the rest may be that of a password with a '/' in it, which no URL can have
        return start < 0
            ? url.Contains("password", StringComparison.OrdinalIgnoreCase) || url.Contains("pwd", StringComparison.OrdinalIgnoreCase)
            : authority.LastIndexOf('@') is var at and > 0 && authority[..at].Contains(':', StringComparison.Ordinal);
    }
}
