import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { expect, test } from 'vitest'
import { buyer } from './accounts.ts'
import { startChain } from './chain.ts'

/** Resolves when nothing accepts connections on the port any more; asks again after each answer. */
async function portClosed(port: number): Promise<void> {
  for (;;) {
    const socket = createConnection({ port, host: '127.0.0.1' })
    const refused = await new Promise<boolean>(resolve => {
      socket.once('error', () => resolve(true))
      // A node that is killed later cuts this connection: no need to ask in a tight loop.
      socket.once('close', () => resolve(false))
    })
    if (refused) return
  }
}

const port = (url: string) => Number(new URL(url).port)

test('mints concurrently and counts exactly', async () => {
  const chain = await startChain({ chainId: 8453 })
  try {
    await Promise.all(Array.from({ length: 8 }, () => chain.mint(buyer.address, 125n)))
    expect(await chain.balanceOf(buyer.address)).toBe(1_000n)
    expect(await chain.publicClient.getChainId()).toBe(8453)
  } finally {
    await chain.close()
  }
})

test('is gone after close, which may be called twice', async () => {
  const chain = await startChain()
  await chain.close()
  await chain.close()
  await portClosed(port(chain.rpcUrl))
})

test.each(['process.exit(0)', 'process.kill(process.pid, "SIGKILL")'])(
  'dies with its parent after %s',
  async ending => {
    const chainModule = JSON.stringify(new URL('chain.ts', import.meta.url).href)
    const script = `
      const { startChain } = await import(${chainModule})
      const { rpcUrl } = await startChain()
      process.stdout.write(rpcUrl, () => ${ending})`
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script])
    const [output] = await once(parent.stdout, 'data')
    await portClosed(port(String(output)))
  },
)
