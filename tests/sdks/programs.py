"""Generates the clients, compiles them, and returns the command of each program that uploads with one."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.npm import NODE, install

HERE: Final = Path(__file__).parent
ENVIRONMENT: Final = HERE.parents[1] / ".venv-sdks"
PYTHON: Final = ENVIRONMENT / "bin" / "python"
DEBIAN_JARS: Final = Path("/usr/share/java")
DEBIAN_PACKAGES: Final = ("libgoogle-gson-java", "libhttpmime-java", "libjakarta-annotation-api-java")
TSC_OPTIONS: Final = (
    *("--strict", "--target", "es2022", "--lib", "es2023,dom,dom.iterable", "--module", "commonjs"),
    *("--moduleResolution", "node10", "--esModuleInterop", "--skipLibCheck", "--types", "node"),
)

GENERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "java": {"library": "native", "openApiNullable": "false", "useJakartaEe": "true"},
    "kotlin": {"serializationLibrary": "gson"},
    "go": {"packageName": "sdk"},
    "python": {"packageName": "sdk"},
    "typescript-fetch": {},
    "swift6": {},
    "csharp": {},
    "rust": {},
    "dart": {},
}
"""The generators of openapi-generator, each with its options that are not the default."""


def run(*words: object, folder: Path, variables: Mapping[str, str] | None = None) -> str:
    """Run a program and return its standard output; an exit status other than 0 fails the test."""
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{command[:4]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def program(name: str) -> str:
    """Return the path of a program that Debian has."""
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install default-jdk-headless"
    return found


def jar(pattern: str, *folders: Path) -> str:
    """Return the path of the one library that matches."""
    found = sorted(path for folder in folders for path in folder.glob(pattern))
    assert found, f"{pattern} is missing: make sdks; apt-get install {' '.join(DEBIAN_PACKAGES)}"
    return str(found[0])


def generator_jar() -> str:
    """Return the path of openapi-generator, which contains Jackson too."""
    return jar("lib/python*/site-packages/openapi_generator_cli/openapi-generator.jar", ENVIRONMENT)


def generate(description: Path, folder: Path) -> None:
    """Generate the clients of openapi-generator, each in a folder with the name of its generator."""
    for name, options in GENERATORS.items():
        without = dict.fromkeys(("apiDocs", "modelDocs", "apiTests", "modelTests"), "false")
        settings: dict[str, Any] = {"generatorName": name, "inputSpec": str(description)}
        settings |= {"outputDir": str(folder / name), "globalProperties": without, "additionalProperties": options}
        (folder / f"{name}.json").write_text(json.dumps(settings))
    configurations = [folder / f"{name}.json" for name in GENERATORS]
    java = (program("java"), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", generator_jar())
    run(*java, "batch", "--threads", "2", *configurations, folder=folder)


def generate_others(description: Path, folder: Path) -> None:
    """Generate the clients of openapi-typescript, hey-api and openapi-python-client."""
    install(HERE)
    modules = HERE / "node_modules"
    run(NODE, modules / "openapi-typescript/bin/cli.js", description, "-o", folder / "schema.d.ts", folder=folder)
    run(NODE, modules / "@hey-api/openapi-ts/bin/run.js", "-i", description, "-o", folder / "hey", folder=folder)
    words = ("generate", "--path", description, "--meta", "none", "--output-path", folder / "broker_client")
    run(PYTHON, "-m", "openapi_python_client", *words, folder=folder)


Command = Sequence[object]


def java(folder: Path) -> Command:
    """Compile the Java client."""
    names = ("jakarta-annotation-api.jar", "httpmime.jar", "httpclient.jar", "httpcore.jar", "commons-logging.jar")
    path = ":".join([generator_jar(), *(jar(name, DEBIAN_JARS) for name in names)])
    options = ("-nowarn", "-proc:none", "-J-XX:+UseSerialGC", "-d", folder / "classes", "-cp", path)
    sources = sorted((folder / "java" / "src" / "main").rglob("*.java"))
    run(program("javac"), *options, *sources, HERE / "JavaClient.java", folder=folder)
    return (program("java"), "-cp", f"{folder / 'classes'}:{path}", "JavaClient")


def kotlin(folder: Path) -> Command:
    """Compile the Kotlin client, with the compiler of Kotlin's kernel for Jupyter and the OkHttp of Allure."""
    kernel = ENVIRONMENT / "lib"
    okhttp = HERE / "node_modules" / "allure-commandline" / "dist" / "plugins" / "jira-plugin" / "lib"
    libraries = [jar("okhttp-jvm-*.jar", okhttp), jar("okio-jvm-*.jar", okhttp), jar("gson.jar", DEBIAN_JARS)]
    libraries += [jar("python*/site-packages/run_kotlin_kernel/jars/kotlin-stdlib-*.jar", kernel)]
    compiler = jar("python*/site-packages/run_kotlin_kernel/jars/kotlin-jupyter-kernel-*-all.jar", kernel)
    java = (program("java"), "-XX:+UseSerialGC", "-cp", compiler, "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler")
    options = ("-no-stdlib", "-no-reflect", "-nowarn", "-cp", ":".join(libraries), "-d", folder / "kotlin.jar")
    run(*java, *options, folder / "kotlin" / "src" / "main" / "kotlin", HERE / "KotlinClient.kt", folder=folder)
    return (program("java"), "-cp", ":".join([str(folder / "kotlin.jar"), *libraries]), "KotlinClientKt")


def go(folder: Path) -> Command:
    """Compile the Go client; it needs no module but its own."""
    compiler = jar("lib/python*/site-packages/go/bin/go", ENVIRONMENT)
    own = folder / "go-program"
    own.mkdir()
    shutil.copy(HERE / "main.go", own)
    replaced = f"require example.com/sdk v0.0.0\nreplace example.com/sdk => {folder / 'go'}\n"
    (own / "go.mod").write_text(f"module example.com/program\ngo 1.23\n{replaced}")
    (folder / "go" / "go.mod").write_text("module example.com/sdk\ngo 1.23\n")
    settings = {"HOME": str(Path.home()), "PATH": "/usr/bin:/bin", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    run(compiler, "build", "-o", folder / "go-client", ".", folder=own, variables={**settings, "GOFLAGS": "-mod=mod"})
    return (folder / "go-client",)


def python(folder: Path) -> Command:
    """Return the program with openapi-generator's Python client."""
    return (PYTHON, "-c", RUN_IN, folder / "python", HERE / "openapi_generator_client.py")


def openapi_python_client(folder: Path) -> Command:
    """Return the program with openapi-python-client's client."""
    return (PYTHON, "-c", RUN_IN, folder, HERE / "openapi_python_client.py")


RUN_IN: Final = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program with a folder of modules."""


def compile_typescript(folder: Path) -> None:
    """Compile the three TypeScript clients, with strict types."""
    (folder / "fetch").symlink_to(folder / "typescript-fetch")
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    programs = [shutil.copy(path, folder) for path in HERE.glob("*.ts")]
    compiler = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    run(NODE, compiler, *TSC_OPTIONS, "--outDir", folder / "js", *programs, folder=folder)
    (folder / "js" / "package.json").write_text('{"type": "commonjs"}')


def typescript(name: str) -> Callable[[Path], Command]:
    """Return the function that returns a compiled TypeScript program."""
    return lambda folder: (NODE, folder / "js" / f"{name}.js")


CLIENTS: Final[Mapping[str, Callable[[Path], Command]]] = {
    "java": java,
    "kotlin": kotlin,
    "go": go,
    "python": python,
    "typescript-fetch": typescript("typescript_fetch_client"),
    "openapi-fetch": typescript("openapi_fetch_client"),
    "hey-api": typescript("hey_api_client"),
    "openapi-python-client": openapi_python_client,
}
"""The clients that upload; the function compiles one and returns its command."""
