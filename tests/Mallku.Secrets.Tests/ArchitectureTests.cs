using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace Mallku.Secrets.Tests;

/// <summary>Reads the compiled library: who knows whom, and what is used where.</summary>
public sealed class ArchitectureTests : IDisposable
{
    // each room may know itself, those named here, and the vocabulary at the root
    private static readonly Dictionary<string, string[]> MayKnow = new(StringComparer.Ordinal)
    {
        ["Crypto"] = [],
        ["Files"] = [],
        ["Keys"] = ["Crypto", "Files"],
        ["Models"] = ["Crypto"],
        ["Storage"] = ["Crypto", "Files", "Keys", "Ledger", "Models"],
        ["Ledger"] = ["Crypto", "Files", "Keys"],
        ["Vault"] = ["Crypto", "Files", "Keys", "Ledger", "Storage"],
        ["Rotation"] = ["Files", "Ledger", "Storage", "Vault"],
        ["Sources"] = ["Crypto", "Files", "Keys", "Ledger", "Storage", "Vault"],
    };

    // the top of the house: it lies at the root, and may know every room
    private static readonly string[] Tops = ["SecretsManager", "SecretsOptions", "SecretsLedger", "SecretLookup", "AccessTrail"];

    // what stands on the manager: nothing in the library knows it
    private static readonly string[] Above = ["Hosting"];

    private static readonly Dictionary<int, OperandType> OperandTypes = typeof(OpCodes).GetFields()
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => code.Value & 0xFFFF, code => code.OperandType);

    private readonly PEReader _file = new(File.OpenRead(typeof(SecretsManager).Assembly.Location));
    private readonly MetadataReader _metadata;

    public ArchitectureTests() => _metadata = _file.GetMetadataReader();

    public void Dispose() => _file.Dispose();

    [Fact]
    public void Arrows_between_rooms_run_one_way()
    {
        var rooms = new HashSet<string>(StringComparer.Ordinal);
        var wrong = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (user, used) in References())
        {
            var (from, to) = (Room(user), Room(used));
            rooms.Add(from);
            var allowed = from == to
                || to == ""
                || (from == "" && Tops.Contains(Top(user), StringComparer.Ordinal))
                || (MayKnow.TryGetValue(from, out var known) && known.Contains(to, StringComparer.Ordinal));
            if (!allowed)
            {
                wrong.Add($"{user} -> {used}");
            }
        }

        Assert.Superset(new HashSet<string>(MayKnow.Keys, StringComparer.Ordinal), rooms);
        Assert.Empty(wrong);
    }

    [Fact]
    public void The_vocabulary_at_the_root_does_not_know_its_top()
    {
        var wrong = References()
            .Where(pair => Room(pair.User) != "" && !Above.Contains(Room(pair.User), StringComparer.Ordinal) && Top(pair.Used) == "SecretsManager")
            .Select(pair => pair.User + " -> " + pair.Used);
        Assert.Empty(wrong);
    }

    [Fact]
    public void Native_interop_is_in_one_file()
    {
        var importers = _metadata.MethodDefinitions.Select(_metadata.GetMethodDefinition)
            .Where(method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl))
            .Select(method => FullName(method.GetDeclaringType()))
            .Distinct(StringComparer.Ordinal);
        Assert.Equal("Mallku.Secrets.Files.Posix", Assert.Single(importers));
    }

    [Theory]
    [InlineData("System.Environment", "GetEnvironmentVariable", "Sources")]
    [InlineData("System.Environment", "GetEnvironmentVariables", "Sources")]
    [InlineData("System.Console", "", "")]
    [InlineData("System.Diagnostics.Process", "", "Ledger,Rotation")]
    [InlineData("System.DateTime", "get_UtcNow", "")]
    [InlineData("System.DateTimeOffset", "get_UtcNow", "")]
    public void What_reaches_outside_is_used_in_its_rooms_alone(string type, string member, string rooms)
    {
        var users = Calls()
            .Where(call => call.Type == type && (member == "" || call.Member == member))
            .Select(call => Room(call.User))
            .Distinct(StringComparer.Ordinal);
        Assert.All(users, user => Assert.Contains(user, rooms.Split(','), StringComparer.Ordinal));
    }

    [Fact]
    public void The_reader_of_the_assembly_sees_calls() =>
        Assert.Contains(("Mallku.Secrets.Sources.VaultLocator", "System.Environment", "GetEnvironmentVariable"), Calls());

    private static string Room(string type)
    {
        var parts = type.Split('.');
        return parts.Length > 3 && parts[0] == "Mallku" ? parts[2] : "";
    }

    private static string Top(string type) => type.Split('.')[^1].Split('+')[0];

    // every type of the library that another one's code, fields and signatures mention
    private IEnumerable<(string User, string Used)> References()
    {
        foreach (var handle in _metadata.TypeDefinitions)
        {
            var user = FullName(handle);
            if (!user.StartsWith("Mallku.", StringComparison.Ordinal))
            {
                continue;
            }

            foreach (var used in UsedBy(_metadata.GetTypeDefinition(handle)))
            {
                yield return (user, used);
            }
        }
    }

    private HashSet<string> UsedBy(TypeDefinition type)
    {
        var collector = new TypeCollector(this);
        foreach (var field in type.GetFields())
        {
            _metadata.GetFieldDefinition(field).DecodeSignature(collector, null);
        }

        foreach (var handle in type.GetMethods())
        {
            var method = _metadata.GetMethodDefinition(handle);
            method.DecodeSignature(collector, null);
            foreach (var token in Tokens(method))
            {
                Collect(token, collector);
            }
        }

        return collector.Types;
    }

    private void Collect(EntityHandle token, TypeCollector collector)
    {
        switch (token.Kind)
        {
            case HandleKind.TypeDefinition:
                collector.Types.Add(FullName((TypeDefinitionHandle)token));
                break;
            case HandleKind.TypeSpecification:
                _metadata.GetTypeSpecification((TypeSpecificationHandle)token).DecodeSignature(collector, null);
                break;
            case HandleKind.MethodDefinition:
                collector.Types.Add(FullName(_metadata.GetMethodDefinition((MethodDefinitionHandle)token).GetDeclaringType()));
                break;
            case HandleKind.FieldDefinition:
                collector.Types.Add(FullName(_metadata.GetFieldDefinition((FieldDefinitionHandle)token).GetDeclaringType()));
                break;
            case HandleKind.MethodSpecification:
                Collect(_metadata.GetMethodSpecification((MethodSpecificationHandle)token).Method, collector);
                break;
            case HandleKind.MemberReference:
                Collect(_metadata.GetMemberReference((MemberReferenceHandle)token).Parent, collector);
                break;
        }
    }

    private IEnumerable<(string User, string Type, string Member)> Calls()
    {
        foreach (var handle in _metadata.MethodDefinitions)
        {
            var method = _metadata.GetMethodDefinition(handle);
            foreach (var token in Tokens(method))
            {
                if (token.Kind == HandleKind.MemberReference
                    && _metadata.GetMemberReference((MemberReferenceHandle)token) is { Parent.Kind: HandleKind.TypeReference } member)
                {
                    var type = _metadata.GetTypeReference((TypeReferenceHandle)member.Parent);
                    yield return (
                        FullName(method.GetDeclaringType()).Split('+')[0],
                        _metadata.GetString(type.Namespace) + "." + _metadata.GetString(type.Name),
                        _metadata.GetString(member.Name));
                }
            }
        }
    }

    // the operands that name something; four bytes anywhere else may look like a token and are none
    private IEnumerable<EntityHandle> Tokens(MethodDefinition method)
    {
        if (method.RelativeVirtualAddress == 0)
        {
            yield break;
        }

        var code = _file.GetMethodBody(method.RelativeVirtualAddress).GetILBytes() ?? [];
        for (var i = 0; i < code.Length;)
        {
            var isLong = code[i] == 0xFE;
            var operand = OperandTypes[isLong ? 0xFE00 | code[i + 1] : code[i]];
            i += isLong ? 2 : 1;
            if (operand is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType)
            {
                yield return MetadataTokens.EntityHandle(BitConverter.ToInt32(code, i));
            }

            i += operand switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, i)),
                _ => 4,
            };
        }
    }

    private string FullName(TypeDefinitionHandle handle)
    {
        var type = _metadata.GetTypeDefinition(handle);
        var name = _metadata.GetString(type.Name);
        return type.IsNested
            ? FullName(type.GetDeclaringType()) + "+" + name
            : _metadata.GetString(type.Namespace) + "." + name;
    }

    /// <summary>Notes the library's own types in a signature.</summary>
    private sealed class TypeCollector(ArchitectureTests tests) : ISignatureTypeProvider<string, object?>
    {
        public HashSet<string> Types { get; } = new(StringComparer.Ordinal);

        public string GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind)
        {
            Types.Add(tests.FullName(handle));
            return "";
        }

        public string GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, genericContext);

        public string GetArrayType(string elementType, ArrayShape shape) => "";

        public string GetByReferenceType(string elementType) => "";

        public string GetFunctionPointerType(MethodSignature<string> signature) => "";

        public string GetGenericInstantiation(string genericType, System.Collections.Immutable.ImmutableArray<string> typeArguments) => "";

        public string GetGenericMethodParameter(object? genericContext, int index) => "";

        public string GetGenericTypeParameter(object? genericContext, int index) => "";

        public string GetModifiedType(string modifier, string unmodifiedType, bool isRequired) => "";

        public string GetPinnedType(string elementType) => "";

        public string GetPointerType(string elementType) => "";

        public string GetPrimitiveType(PrimitiveTypeCode typeCode) => "";

        public string GetSZArrayType(string elementType) => "";

        public string GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => "";
    }
}
