import { describe, expect, it } from 'vitest';
import { readStorageOptions } from './storage-options.ts';

describe('storage options', () => {
  it('come from the variables that AWS tools read, and leave keys to the SDK', () => {
    expect(readStorageOptions({})).toEqual({ s3: {} });
    const env = {
      AWS_ENDPOINT_URL: 'http://a',
      AWS_ENDPOINT_URL_S3: 'http://b',
      AWS_DEFAULT_REGION: 'eu-west-1',
    };
    const secret = {
      AWS_ACCESS_KEY_ID: 'KEY',
      AWS_SECRET_ACCESS_KEY: 'SECRET',
      DABAREX_S3_PATH_STYLE: 'false',
    };
    const options = readStorageOptions({ ...env, ...secret });
    expect(options).toEqual({ s3: { endpoint: 'http://b', region: 'eu-west-1', pathStyle: false } });
    expect(readStorageOptions({ DABAREX_S3_ANONYMOUS: '1' }).s3!.credentials).toBe('anonymous');
  });

  it('refuse a switch that is neither on nor off', () => {
    expect(() => readStorageOptions({ DABAREX_S3_PATH_STYLE: 'maybe' })).toThrow(
      expect.objectContaining({
        code: 'usage_invalid',
        message: expect.stringContaining('DABAREX_S3_PATH_STYLE'),
      }),
    );
  });
});
