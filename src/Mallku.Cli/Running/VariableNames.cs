using System.Collections.Frozen;

namespace Mallku.Cli.Running;

/// <summary>Which names a variable may have, and which ones make programs do something else.</summary>
internal static class VariableNames
{
    /// <summary>Whether shells can read a variable of this name.</summary>
    internal static bool IsValid(string name) =>
        name.Length > 0
        && !char.IsAsciiDigit(name[0])
        && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_');

    /// <summary>
    /// Whether the variable decides which code a program runs, what it loads, or whom it talks to.
    /// </summary>
    internal static bool Steers(string name)
    {
        var upper = name.ToUpperInvariant();
        return Exact.Contains(upper) || (Prefixes.Any(prefix => upper.StartsWith(prefix, StringComparison.Ordinal)) && !Credentials.Contains(upper));
    }

    private static readonly string[] Prefixes =
    [
        "LD_", "DYLD_", "GLIBC_", "MALLOC_", "GCONV_", "BASH_", "LC_",
        "PYTHON", "PERL5", "LUA_", "COMPLUS_", "CORECLR_", "COR_", "DOTNET_", "MALLKU_",
        "GIT_CONFIG", "NPM_CONFIG_", "YARN_", "BUNDLE_", "CARGO_TARGET_", "CARGO_BUILD_", "CLOUDSDK_PYTHON", "FZF_", "XDG_",
    ];

    // what one of the prefixes has for a secret, and nothing else
    private static readonly FrozenSet<string> Credentials = FrozenSet.Create(StringComparer.Ordinal, "YARN_NPM_AUTH_IDENT", "YARN_NPM_AUTH_TOKEN");

    private static readonly FrozenSet<string> Exact = FrozenSet.Create(
        StringComparer.Ordinal,

        // shells, and what they start
        "PATH", "IFS", "ENV", "BASHOPTS", "SHELLOPTS", "POSIXLY_CORRECT", "PS0", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "CDPATH",
        "GLOBIGNORE", "ZDOTDIR", "FPATH", "INPUTRC", "SHELL", "EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESS", "LESSOPEN", "LESSCLOSE",
        "LESSKEY", "LESSKEYIN", "LESSKEY_CONTENT", "LESSKEY_SYSTEM", "LESSKEYIN_SYSTEM", "LESSEDIT", "LESSECHO", "LESSHISTFILE",
        "EXINIT", "VIMINIT", "GVIMINIT", "MYVIMRC", "VIM", "VIMRUNTIME", "NVIM_APPNAME", "EMACSLOADPATH", "EMACSDATA", "EMACSPATH", "ALTERNATE_EDITOR",
        "SUDO_ASKPASS", "SUDO_EDITOR", "SYSTEMD_PAGER", "SYSTEMD_EDITOR", "KUBE_EDITOR", "PSQLRC", "PSQL_EDITOR", "PSQL_PAGER",

        // where programs find themselves and their settings
        "HOME", "PWD", "OLDPWD", "USER", "LOGNAME", "TERM", "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "TMPDIR", "TMP", "TEMP", "LANG", "LANGUAGE", "TZ",
        "TZDIR", "NLSPATH", "LOCPATH", "HOSTALIASES", "RESOLV_HOST_CONF", "RES_OPTIONS", "LOCALDOMAIN", "NIS_PATH", "GETCONF_DIR",

        // interpreters and virtual machines
        "PERLLIB", "PERL_UNICODE", "RUBYOPT", "RUBYLIB", "RUBYPATH", "GEM_HOME", "GEM_PATH",
        "NODE_OPTIONS", "NODE_PATH", "NODE_REPL_EXTERNAL_MODULE", "NODE_EXTRA_CA_CERTS", "NODE_TLS_REJECT_UNAUTHORIZED", "ELECTRON_RUN_AS_NODE",
        "DENO_DIR", "BUN_OPTIONS", "BUN_CONFIG_PRELOAD", "PHPRC", "PHP_INI_SCAN_DIR",
        "JAVA_HOME", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS", "CLASSPATH", "MAVEN_ARGS", "MAVEN_OPTS", "GRADLE_OPTS",
        "ERL_AFLAGS", "ERL_FLAGS", "ERL_LIBS", "ERL_ZFLAGS", "ELIXIR_ERL_OPTIONS", "JULIA_LOAD_PATH", "JULIA_DEPOT_PATH",
        "R_HOME", "R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER", "R_LIBS", "R_LIBS_USER", "GUILE_LOAD_PATH", "TCLLIBPATH",
        "CAML_LD_LIBRARY_PATH", "OCAMLRUNPARAM", "OCAMLPATH",
        "GOFLAGS", "GOPATH", "GOROOT", "GODEBUG", "GOPROXY", "GOBIN", "GOENV", "GOTOOLCHAIN", "GOWORK", "GOSUMDB", "GONOSUMDB", "GOINSECURE",
        "RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC", "RUSTDOC", "CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_HOME",
        "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUSTUP_DIST_SERVER",
        "VIRTUAL_ENV", "CONDA_PREFIX", "PSMODULEPATH", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
        "MSBUILD_EXE_PATH", "MSBUILDSDKSPATH", "MSBUILDEXTENSIONSPATH",

        // where package managers take code from
        "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_CONFIG_FILE", "PIP_CONSTRAINT", "PIP_REQUIREMENT",
        "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_CONFIG_FILE", "UV_PYTHON",
        "COREPACK_NPM_REGISTRY", "COMPOSER_HOME",

        // tools that run what a variable says
        "GIT_DIR", "GIT_EXEC_PATH", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR",
        "GIT_PAGER", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_TEMPLATE_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE",
        "MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "CC", "CXX", "CFLAGS", "LDFLAGS", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LIBRARY_PATH",
        "TAR_OPTIONS", "GZIP", "GREP_OPTIONS", "RSYNC_RSH", "SVN_SSH", "HGRCPATH", "ANSIBLE_CONFIG", "TF_CLI_CONFIG_FILE", "RIPGREP_CONFIG_PATH",
        "CVS_RSH", "DOCKER_HOST", "DOCKER_CONFIG", "KUBECONFIG", "SSH_AUTH_SOCK", "GNUPGHOME", "GTK_MODULES", "GTK_PATH",
        "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "GIO_EXTRA_MODULES", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY",

        // whom they trust, and through whom they talk
        "OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "CURL_CA_BUNDLE",
        "CURL_HOME", "WGETRC", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY", "NO_PROXY", "KRB5_CONFIG",

        // Windows
        "PATHEXT", "COMSPEC", "SYSTEMROOT", "WINDIR", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "USERPROFILE");
}
