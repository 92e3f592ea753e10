using Mallku.Secrets.Tests;

namespace Mallku.Secrets.Stores.Tests.Etcd;

/// <summary>Certificates for one day that a root of the tests' own has signed, each in a file with its key beside it.</summary>
internal sealed class EtcdCertificates
{
    private readonly string _folder;

    internal EtcdCertificates(string folder)
    {
        Requires.Program("openssl");
        _folder = folder;
        Make("root", "/CN=root of the tests", "-addext", "keyUsage=critical,keyCertSign");
        Issue("server", "/CN=server");
        Issue("administrator", "/CN=root");
    }

    internal string Root => PathOf("root");

    internal string Server => PathOf("server");

    /// <summary>For etcd's own command, as the user root.</summary>
    internal string Administrator => PathOf("administrator");

    internal static string KeyOf(string certificate) => Path.ChangeExtension(certificate, ".key");

    /// <summary>Makes another one that the root has signed.</summary>
    internal string Issue(string name, string subject) => Make(
        name, subject, "-CA", Root, "-CAkey", KeyOf(Root), "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE");

    private string PathOf(string name) => Path.Combine(_folder, name + ".pem");

    private string Make(string name, string subject, params string[] more)
    {
        var file = PathOf(name);
        Tool.Run("openssl", [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
            "-subj", subject, "-keyout", KeyOf(file), "-out", file, .. more]);
        return file;
    }
}
