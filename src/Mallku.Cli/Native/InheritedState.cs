using System.Runtime.CompilerServices;

namespace Mallku.Cli.Native;

/// <summary>
/// The signal dispositions, the signal mask and the core limit that the caller gave, which <c>inherited.c</c> has
/// remembered. It is part of the native binary only: under <c>dotnet run</c> nobody knows them.
/// </summary>
internal static class InheritedState
{
    internal static bool IsKnown => !RuntimeFeature.IsDynamicCodeSupported && !OperatingSystem.IsWindows();

    /// <summary>Gives this process back what the caller gave it, for the program that takes its place.</summary>
    internal static void Restore()
    {
        const int brokenPipe = 13;
        const nint byDefault = 0;
        if (IsKnown)
        {
            Libc.RestoreInherited();
        }
        else
        {
            _ = Libc.SetSignalHandler(brokenPipe, byDefault);
        }
    }
}
