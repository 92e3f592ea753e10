namespace Mallku.Secrets.Tests.Processes;

/// <summary>What a process did to a file of the vault's folder, by its path in it; the folder itself is <c>.</c>.</summary>
internal abstract record FileEvent
{
    /// <summary>Opened, and made where it was not there, with a mode in octal digits.</summary>
    internal sealed record Created(string Name, string Mode) : FileEvent
    {
        public override string ToString() => $"create {Name} {Mode}";
    }

    internal sealed record Truncated(string Name, int Length) : FileEvent
    {
        public override string ToString() => $"truncate {Name}";
    }

    internal sealed record Written(string Name, int Offset, byte[] Bytes) : FileEvent
    {
        public override string ToString() => $"write {Name}";
    }

    internal sealed record Flushed(string Name) : FileEvent
    {
        public override string ToString() => $"flush {Name}";
    }

    internal sealed record Renamed(string From, string To) : FileEvent
    {
        public override string ToString() => $"rename {From} {To}";
    }

    internal sealed record Exchanged(string One, string Other) : FileEvent
    {
        public override string ToString() => $"exchange {One} {Other}";
    }

    internal sealed record Removed(string Name) : FileEvent
    {
        public override string ToString() => $"remove {Name}";
    }

    /// <summary>It said on standard output that the change is done.</summary>
    internal sealed record Answered(string Text) : FileEvent
    {
        public override string ToString() => "answer";
    }
}
