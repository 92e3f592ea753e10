namespace Mallku.Secrets.Rotation;

/// <summary>
/// Another process has ended a rotation, or gone on with it, while this one took a step: it stood still for so long that its
/// turn was over.
/// </summary>
internal sealed class RotationOvertakenException(string problem, string remedy) : SecretsException(problem, remedy);
