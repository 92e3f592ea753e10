namespace Mallku.Cli.Native;

/// <summary>What the C files of this folder add. They are part of the native binary; <c>dotnet run</c> goes without them.</summary>
internal static class NativeBinary
{
    // what a build says of dynamic code is what it will be once it is published; but only a host lists assemblies
    internal static bool IsThis => AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") is null && !OperatingSystem.IsWindows();

    /// <summary>
    /// Gives this process back the signal dispositions, the signal mask and the core limit that the caller gave, for the
    /// program that takes its place.
    /// </summary>
    internal static void RestoreInherited()
    {
        const int brokenPipe = 13;
        const nint byDefault = 0;
        if (IsThis)
        {
            Libc.RestoreInherited();
        }
        else
        {
            // what the others were nobody knows
            _ = Libc.SetSignalHandler(brokenPipe, byDefault);
        }
    }

    /// <summary>Lets TLS find the machine's certificates, wherever its distribution has them.</summary>
    internal static void PrepareToConnect()
    {
        if (IsThis && OperatingSystem.IsLinux())
        {
            Libc.FindCertificates();
        }
    }

    /// <summary>Starts the cryptography library that the vault needs, before the runtime does it at greater length.</summary>
    internal static void PrepareToDecrypt()
    {
        if (IsThis && OperatingSystem.IsLinux())
        {
            Libc.StartOpenSslLean();
        }
    }
}
