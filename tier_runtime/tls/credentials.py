"""What gRPC needs of the files, current for each new connection."""

from __future__ import annotations

import grpc

from tier_runtime.tls.files import Reloaded, TlsFiles


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return the credentials of one port, whose clients need a certificate.

    Each handshake is done with the files as they are then.

    Raises:
        TlsFilesError: the files cannot be used.
    """
    reloaded = Reloaded(files, _configuration)
    served = reloaded.current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        current = reloaded.current()
        if current is served:
            return None
        served = current
        return current

    return grpc.dynamic_ssl_server_credentials(
        served,
        changed,  # type: ignore[arg-type]  # its types lack None, by which nothing has changed
        require_client_authentication=True,
    )


def channel_credentials(files: TlsFiles) -> grpc.ChannelCredentials:
    """Return the credentials of a channel; they stay what the files are now.

    Raises:
        TlsFilesError: the files cannot be used.
    """
    found = files.require_usable()
    return grpc.ssl_channel_credentials(found.authority, found.key, found.certificate)


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    found = files.require_usable()
    return grpc.ssl_server_certificate_configuration(
        [(found.key, found.certificate)], found.authority
    )
