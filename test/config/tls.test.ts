import { generateKeyPairSync } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { watchConfig } from '../../src/config/watch.ts'
import {
  type Certificate,
  type CertificateAuthority,
  createAuthority,
  type Wanted,
} from '../support/certificates.ts'
import { brief, HEAD, read } from './support.ts'

let authority: CertificateAuthority
let pair: Certificate

beforeAll(async () => {
  authority = await createAuthority()
  pair = await authority.issue()
})

const TLS = `server:
  tls:
    cert: tls.crt
    key: tls.key
`
const ROUTES = 'routes: {/health: free}\n'

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'farebox-tls-')))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** What is found wrong with these files, in the order of the file. */
function problemsWith(files: Readonly<Record<string, string>>, tls = TLS): string[] {
  const loaded = read(HEAD + tls + ROUTES, {}, folderWith(files))
  return loaded.kind === 'invalid' ? brief(loaded.problems) : []
}

const filesOf = ({ cert, key }: Certificate) => ({ 'tls.crt': cert, 'tls.key': key })
const issued = async (wanted: Wanted) => filesOf(await authority.issue(wanted))

describe('server.tls', () => {
  test('is read with the configuration, relative to its file', () => {
    const loaded = read(HEAD + TLS + ROUTES, {}, folderWith(filesOf(pair)))
    if (loaded.kind === 'invalid') throw new Error(brief(loaded.problems).join('\n'))
    const { tls } = loaded.config.server
    expect(tls).toMatchObject({ ...pair, clientCa: null })
    expect(tls?.notAfter).toBeGreaterThan(Date.now())
    expect(loaded.files.slice(1).map(file => file.split('/').at(-1))).toEqual([
      'tls.crt',
      'tls.key',
    ])
  })

  test('takes a chain, and the authorities of clients', async () => {
    const between = await authority.intermediate('Between')
    const files = { ...filesOf(await between.issue()), 'clients.pem': authority.cert }
    expect(problemsWith(files, `${TLS}    clientCa: clients.pem\n`)).toEqual([])
  })

  test('whose files cannot be read is refused, each at its place', () => {
    expect(problemsWith({}, `${TLS}    clientCa: none/clients.pem\n`)).toEqual([
      '8:11 server.tls.cert: names a file that does not exist',
      '9:10 server.tls.key: names a file that does not exist',
      '10:15 server.tls.clientCa: names a file that does not exist',
    ])
  })

  test('whose files hold something else is refused', () => {
    expect(problemsWith({ 'tls.crt': pair.key, 'tls.key': pair.cert })).toEqual([
      '8:11 server.tls.cert: names a file in which nothing of the kind can be read',
      '9:10 server.tls.key: names a file in which nothing of the kind can be read',
    ])
    const torn = { ...filesOf(pair), 'tls.crt': pair.cert.slice(0, 200) }
    expect(problemsWith(torn)).toEqual([
      '8:11 server.tls.cert: names a file in which nothing of the kind can be read',
    ])
  })

  test('whose key belongs to another certificate is refused', async () => {
    const other = await authority.issue()
    expect(problemsWith({ ...filesOf(pair), 'tls.key': other.key })).toEqual([
      '9:10 server.tls.key: is not the key of the certificate in server.tls.cert',
    ])
  })

  test('that has expired, or is not valid yet, is refused', async () => {
    const day = 86_400_000
    const past = { notBefore: new Date(Date.now() - 2 * day), notAfter: new Date(Date.now() - day) }
    const next = { notBefore: new Date(Date.now() + day), notAfter: new Date(Date.now() + 2 * day) }
    expect(problemsWith(await issued(past))).toEqual([
      expect.stringMatching(/^8:11 server\.tls\.cert: names a certificate that expired on /),
    ])
    expect(problemsWith(await issued(next))).toEqual([
      expect.stringMatching(/^8:11 server\.tls\.cert: names a certificate that is valid only from/),
    ])
  })

  test('whose chain is out of order is refused', async () => {
    const stranger = await createAuthority('Stranger')
    const files = { ...filesOf(pair), 'tls.crt': `${pair.cert}${stranger.cert}\n` }
    expect(problemsWith(files)).toEqual([
      '8:11 server.tls.cert: names a file whose second certificate has not signed the first',
    ])
  })

  test('whose key has a passphrase is refused', () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    })
    expect(problemsWith({ ...filesOf(pair), 'tls.key': privateKey })).toEqual([
      '9:10 server.tls.key: names a key that has a passphrase',
    ])
  })

  test('that holds a key instead of its name never shows it', () => {
    const folder = folderWith(filesOf(pair))
    const text = `${HEAD}${TLS.replace('tls.key', `\${file:tls.key}`)}${ROUTES}`
    const loaded = read(text, {}, folder)
    expect(loaded.kind === 'invalid' && brief(loaded.problems)).toEqual([
      '9:10 server.tls.key: holds the text of a file',
    ])
    expect(JSON.stringify(loaded)).not.toContain(pair.key.split('\n')[1])
  })
})

describe('the files of server.tls are watched', () => {
  const closers: (() => void)[] = []
  afterEach(() => {
    for (const close of closers.splice(0)) close()
  })

  function watching(folder: string): { changes: number } {
    const seen = { changes: 0 }
    const count = () => void seen.changes++
    const watch = watchConfig(join(folder, 'gateway.yaml'), count, {
      debounceMs: 5,
      recheckMs: 1_000_000,
    })
    closers.push(watch.close)
    return seen
  }

  test('when one is written over', async () => {
    const folder = folderWith({ ...filesOf(pair), 'gateway.yaml': HEAD + TLS + ROUTES })
    const seen = watching(folder)
    writeFileSync(join(folder, 'tls.crt'), 'another')
    await expect.poll(() => seen.changes).toBe(1)
  })

  test('when Kubernetes swaps the directory that they are in, again and again', async () => {
    const mount = folderWith({})
    const swap = (name: string, text: string): void => {
      mkdirSync(join(mount, name))
      writeFileSync(join(mount, name, 'tls.crt'), text)
      symlinkSync(name, join(mount, '..new'))
      renameSync(join(mount, '..new'), join(mount, '..data'))
    }
    swap('..1', 'one')
    symlinkSync('..data/tls.crt', join(mount, 'tls.crt'))
    const tls = TLS.replace('tls.crt', join(mount, 'tls.crt'))
    const seen = watching(folderWith({ 'gateway.yaml': HEAD + tls + ROUTES }))
    swap('..2', 'two')
    await expect.poll(() => seen.changes).toBe(1)
    swap('..3', 'three')
    await expect.poll(() => seen.changes).toBe(2)
  })
})
