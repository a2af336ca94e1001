import Disk

func removeFile(_ path: String) { try? WholeFile.remove(path) }
