import Glibc
import Mount

@main
enum MountMain {
    static func main() {
        exit(MountProgram.run(CommandLine.arguments))
    }
}
