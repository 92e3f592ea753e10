using System.Security.Cryptography;

namespace Mallku.Secrets.Storage;

/// <summary>Pauses by chance, so that instances that wait for the same thing don't come back at the same moment.</summary>
internal static class Jitter
{
    /// <summary>Between a half of it and one and a half.</summary>
    internal static TimeSpan Of(TimeSpan pause) => pause * (0.5 + (RandomNumberGenerator.GetInt32(1001) / 1000.0));
}
