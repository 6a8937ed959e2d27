import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)

/** PEM texts, as `server.tls` and the options of node:tls take them. */
export interface Certificate {
  /** The certificate, then those of the authorities between it and the root. */
  readonly cert: string
  readonly key: string
}

export interface CertificateAuthority {
  /** What whoever trusts it reads, in PEM. */
  readonly cert: string
  /** A certificate that it has signed. */
  issue(wanted?: Wanted): Promise<Certificate>
  /** An authority that it has signed, whose certificates come with their chain. */
  intermediate(name: string): Promise<CertificateAuthority>
}

export interface Wanted {
  /** Common name of the subject; default: "localhost". */
  readonly name?: string
  /** Default: the name, and 127.0.0.1. */
  readonly dns?: readonly string[]
  readonly uris?: readonly string[]
  /** Default: a day ago. */
  readonly notBefore?: Date
  /** Default: in a day. */
  readonly notAfter?: Date
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000

/** A certificate authority of its own, which nobody else trusts. */
export async function createAuthority(name = 'Farebox Test CA'): Promise<CertificateAuthority> {
  const keys = await generateKeys()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: named(name),
    keys,
    ...validity({}),
    extensions: authorityExtensions(),
  })
  return authority(root, keys, [])
}

/** A certificate that nobody but itself has signed. */
export async function selfSigned(name = 'localhost'): Promise<Certificate> {
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: named(name),
    keys,
    ...validity({}),
    extensions: [alternativeNames({ name })],
  })
  return { cert: certificate.toString('pem'), key: await toPem(keys.privateKey) }
}

function authority(
  own: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  chain: readonly string[],
): CertificateAuthority {
  const sign = (
    subject: string,
    publicKey: webcrypto.CryptoKey,
    wanted: Wanted,
    more: x509.Extension[],
  ) =>
    x509.X509CertificateGenerator.create({
      subject: named(subject),
      issuer: own.subject,
      publicKey,
      signingKey: keys.privateKey,
      ...validity(wanted),
      extensions: more,
    })
  return {
    cert: own.toString('pem'),
    async issue(wanted = {}) {
      const fresh = await generateKeys()
      const { name = 'localhost' } = wanted
      const signed = await sign(name, fresh.publicKey, wanted, [alternativeNames(wanted)])
      const cert = `${[signed.toString('pem'), ...chain].join('\n')}\n`
      return { cert, key: await toPem(fresh.privateKey) }
    },
    async intermediate(name) {
      const fresh = await generateKeys()
      const signed = await sign(name, fresh.publicKey, {}, authorityExtensions())
      return authority(signed, fresh, [signed.toString('pem'), ...chain])
    },
  }
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

function named(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }]
}

function validity({ notBefore, notAfter }: Wanted): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return {
    notBefore: notBefore ?? new Date(now - DAY_MS),
    notAfter: notAfter ?? new Date(now + DAY_MS),
  }
}

function authorityExtensions(): x509.Extension[] {
  const usages = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(usages, true),
  ]
}

function alternativeNames({ name = 'localhost', dns = [name], uris = [] }: Wanted): x509.Extension {
  return new x509.SubjectAlternativeNameExtension([
    ...dns.map(value => ({ type: 'dns' as const, value })),
    ...uris.map(value => ({ type: 'url' as const, value })),
    { type: 'ip' as const, value: '127.0.0.1' },
  ])
}

async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}
