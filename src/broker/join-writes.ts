import type { Duplex } from 'node:stream';

/**
 * Hands over together what is written to a socket in one turn of the event loop: a system call, and the packet that it
 * makes, cost as much as many kilobytes in one that is made anyway.
 */
export function joinWrites(socket: Duplex): void {
  const write = socket.write.bind(socket);
  let joining = false;
  function join() {
    if (joining) return;
    joining = true;
    socket.cork();
    process.nextTick(() => {
      joining = false;
      socket.uncork();
    });
  }
  Object.assign(socket, {
    write(...args: Parameters<typeof write>) {
      join();
      return write(...args);
    },
  });
}
