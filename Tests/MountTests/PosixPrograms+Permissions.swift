// Programs about who may do what: access lists, set-id bits, classes of attributes.

extension Program {
    static let permissions: [Program] = [
        Program(
            name: "access lists",
            text: """
                U, NU, G, NG, M, O, X = 1, 2, 4, 8, 16, 32, 0xffffffff
                ACCESS, DEFAULT = 'system.posix_acl_access', 'system.posix_acl_default'
                def acl(*entries, version=2):
                    packed = (struct.pack('<HHI', *entry) for entry in entries)
                    return struct.pack('<I', version) + b''.join(packed)
                def lists(name):
                    all = os.listxattr(name, follow_symlinks=False)
                    found = [(k, os.getxattr(name, k).hex()) for k in sorted(all) if 'acl' in k]
                    print(name, oct(os.lstat(name).st_mode), found)
                full = acl((U, 6, X), (NU, 7, 1001), (G, 4, X), (NG, 6, 1003), (M, 5, X), (O, 0, X))
                write('f', b'x'); os.chmod('f', 0o4640)
                attempt(os.setxattr, 'f', ACCESS, full); lists('f')
                os.chmod('f', 0o600); lists('f')
                os.chmod('f', 0o2777); lists('f')
                attempt(os.setxattr, 'f', ACCESS, acl((U, 6, X), (G, 4, X), (O, 1, X))); lists('f')
                attempt(os.setxattr, 'f', ACCESS, full); attempt(os.removexattr, 'f', ACCESS)
                lists('f')
                attempt(os.removexattr, 'f', ACCESS); attempt(os.getxattr, 'f', ACCESS)
                attempt(os.setxattr, 'f', DEFAULT, full)
                for bad in (acl((U, 6, X), (G, 4, X)),
                            acl((U, 6, X), (NU, 6, 7), (G, 4, X), (O, 0, X)),
                            acl((G, 6, X), (U, 4, X), (O, 0, X)),
                            acl((U, 9, X), (G, 4, X), (O, 0, X)),
                            acl((U, 6, X), (G, 4, X), (O, 0, X), version=1),
                            bytes([2, 0, 0, 0, 1]), bytes([2, 0, 0, 0]), b''):
                    attempt(os.setxattr, 'f', ACCESS, bad)
                lists('f')
                os.symlink('f', 's'); attempt(os.getxattr, 's', ACCESS)
                for umask in (0o022, 0o077):
                    d = f'd{umask}'; os.mkdir(d)
                    attempt(os.setxattr, d, DEFAULT,
                            acl((U, 7, X), (NU, 6, 1001), (G, 5, X), (M, 7, X), (O, 1, X)))
                    lists(d); os.umask(umask)
                    for mode in (0o666, 0o600, 0o4777):
                        os.close(os.open(f'{d}/f{mode}', os.O_CREAT | os.O_WRONLY, mode))
                        lists(f'{d}/f{mode}')
                        os.mkdir(f'{d}/d{mode}', mode); lists(f'{d}/d{mode}')
                        os.mknod(f'{d}/p{mode}', stat.S_IFIFO | mode); lists(f'{d}/p{mode}')
                    os.symlink('x', f'{d}/s'); show(f'{d}/s')
                    fd = os.open(d, os.O_TMPFILE | os.O_RDWR, 0o666)
                    c('linkat', fd, b'', -100, f'{d}/t'.encode(), 0x1000); os.close(fd)
                    lists(f'{d}/t')
                    # A list that says no more than a mode is inherited as one, whatever the umask.
                    attempt(os.setxattr, d, DEFAULT, acl((U, 7, X), (G, 3, X), (O, 2, X)))
                    os.mkdir(f'{d}/plain', 0o777); lists(f'{d}/plain')
                    attempt(os.removexattr, d, DEFAULT); os.mkdir(f'{d}/after', 0o777)
                    lists(f'{d}/after')
                os.umask(0o022)
                write('g', b'secret'); os.chmod('g', 0o600)
                os.setxattr('g', ACCESS, acl((U, 6, X), (NU, 4, 1001), (NU, 6, 1002), (G, 0, X),
                                             (NG, 4, 1003), (M, 4, X), (O, 0, X)))
                def tries():
                    for how in (os.O_RDONLY, os.O_WRONLY): attempt(os.open, 'g', how)
                for user in (1001, 1002, 1003, 1004): as_user(user, tries)
                os.chmod('g', 0o600)
                for user in (1001, 1003): as_user(user, tries)
                # An owner who is not of the group loses the set-group-id bit with a list.
                write('h', b''); os.chown('h', 1001, 1005); os.chmod('h', 0o2755)
                as_user(1001, lambda: attempt(os.setxattr, 'h', ACCESS, full)); lists('h')
                os.chmod('h', 0o2755); attempt(os.setxattr, 'h', ACCESS, full); lists('h')
                as_user(1002, lambda: attempt(os.setxattr, 'h', ACCESS, full))
                """
        ),
        Program(
            name: "set-id bits and file capabilities",
            text: """
                os.chmod('.', 0o777)
                CAPABILITY = struct.pack('<IIIII', 0x02000001, 1 << 10, 0, 0, 0)
                def fresh(name, mode):
                    write(name, b'x' * 8192); os.chmod(name, mode)
                    os.setxattr(name, 'security.capability', CAPABILITY)
                def state(name):
                    print(oct(os.stat(name).st_mode), 'security.capability' in os.listxattr(name))
                def appends(name):
                    with open(name, 'ab') as file: file.write(b'more')
                def overwrites(name):
                    fd = os.open(name, os.O_WRONLY); os.pwrite(fd, b'y', 100); os.close(fd)
                def syncs(name):
                    fd = os.open(name, os.O_WRONLY | os.O_DSYNC); os.pwrite(fd, b'y' * 4096, 0)
                    os.close(fd)
                def cuts(name): os.truncate(name, 10)
                def opens(name): os.close(os.open(name, os.O_WRONLY | os.O_TRUNC))
                def changes_owner(name): os.chown(name, 1002, 1002)
                def changes_nothing(name): os.chown(name, -1, -1)
                def changes_mode(name): os.chmod(name, os.stat(name).st_mode & 0o7777)
                def punches(name):
                    fd = os.open(name, os.O_RDWR)
                    c('fallocate', fd, 3, ctypes.c_long(0), ctypes.c_long(100)); os.close(fd)
                def reserves(name):
                    fd = os.open(name, os.O_RDWR)
                    c('fallocate', fd, 0, ctypes.c_long(0), ctypes.c_long(10000)); os.close(fd)
                def copies(name):
                    fd = os.open(name, os.O_RDWR); source = os.open('source', os.O_RDONLY)
                    os.copy_file_range(source, fd, 100); os.close(fd)
                def times(name): os.utime(name, (1, 1))
                write('source', b's' * 1000)
                for mode in (0o6777, 0o2767, 0o6666):
                    for body in (appends, overwrites, syncs, cuts, opens, changes_owner,
                                 changes_nothing, changes_mode, punches, reserves, copies, times):
                        print(oct(mode), body.__name__)
                        fresh('f', mode); body('f'); state('f')
                        fresh('g', mode)
                        if body not in (changes_owner, changes_nothing, changes_mode, times):
                            as_user(1001, lambda: body('g')); state('g')
                os.mkdir('d'); os.chmod('d', 0o6777); os.chown('d', 1001, 1001); show('d')
                def lower():
                    # Not of the group: the set-group-id bit goes. Of it: it stays.
                    os.chmod('mine', 0o2755); show('mine'); os.chmod('own', 0o2755); show('own')
                    os.chown('own', -1, 1001); show('own')
                write('mine', b''); os.chown('mine', 1001, 1005)
                write('own', b''); os.chown('own', 1001, 1001); as_user(1001, lower)
                """
        ),
        Program(
            name: "classes of extended attributes",
            text: """
                write('f', b''); os.mkdir('d'); os.symlink('f', 's'); os.symlink('nowhere', 'n')
                os.mkfifo('p')
                os.mknod('c', stat.S_IFCHR | 0o666, os.makedev(1, 3))
                os.mknod('b', stat.S_IFBLK, os.makedev(7, 0))
                os.mknod('k', stat.S_IFSOCK)
                for name in ('f', 'd', 's', 'n', 'p', 'c', 'b', 'k'):
                    for attribute in ('user.a', 'trusted.a', 'security.a', 'system.a', 'other.a',
                                      'plain', 'user.', 'trusted.', 'security.', 'system.', ''):
                        print(name, attribute)
                        def set_(): os.setxattr(name, attribute, b'v', follow_symlinks=False)
                        def get(): return os.getxattr(name, attribute, follow_symlinks=False)
                        def remove(): os.removexattr(name, attribute, follow_symlinks=False)
                        for call in (set_, get, remove, remove, set_): attempt(call)
                    print(sorted(os.listxattr(name, follow_symlinks=False)))
                os.chmod('.', 0o777); os.chmod('f', 0o666); os.chmod('d', 0o1777)
                def other():
                    print(sorted(os.listxattr('f')))
                    print(sorted(os.listxattr('s', follow_symlinks=False)))
                    for attribute in ('user.a', 'trusted.a', 'security.a'):
                        for call in (os.getxattr, os.removexattr): attempt(call, 'f', attribute)
                        attempt(os.setxattr, 'f', attribute, b'w')
                    attempt(os.setxattr, 'd', 'user.b', b'w')
                as_user(1001, other)
                for name in ('user.' + 'n' * 250, 'user.' + 'n' * 251):
                    attempt(os.setxattr, 'f', name, b'')
                def large(): os.setxattr('f', 'user.v', bytes(65537))
                attempt(large)
                for flags in (os.XATTR_CREATE, os.XATTR_REPLACE):
                    for name in ('user.a', 'user.new'):
                        attempt(os.setxattr, 'f', name, b'again', flags)
                buffer = ctypes.create_string_buffer(8)
                for size in (0, 1, 5, 8):
                    try: print(size, c('getxattr', b'f', b'user.a', buffer, size))
                    except OSError as error: print(size, errno.errorcode[error.errno])
                    try: print(size, c('listxattr', b'd', buffer, size) > 0)
                    except OSError as error: print(size, errno.errorcode[error.errno])
                """
        ),
    ]
}
