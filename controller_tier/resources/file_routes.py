"""The table of the routes below /files."""

from __future__ import annotations

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.examples import DOWNLOAD, FILE, FILE_PAGE
from controller_tier.resources.files import FileViews
from controller_tier.schemas import files

_BYTES = {"type": "string", "format": "binary"}
_CONTENT_HEADERS = ("ETag", "Accept-Ranges", "Content-Disposition")


def files_resource(views: FileViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /files."""
    return Resource(
        "files",
        "Files: one's own, and for admins those of everybody.",
        (*_collection_rows(views, rpcs), *_single_rows(views, rpcs)),
    )


def _collection_rows(views: FileViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            "/files",
            "uploadFile",
            views.upload,
            "Upload a file.",
            (
                Answer(
                    201, "The file.", files.File, FILE, ("ETag", "Location", "Idempotent-Replay")
                ),
            ),
            description="It is checked while it comes, and what is refused need not be sent to its "
            "end. UNSUPPORTED_MEDIA_TYPE tells of a body that is no form, or of an extension that "
            "is not taken; VALIDATION_FAILED of a content that is not what the extension says.",
            form=files.UPLOAD_FORM,
            problems=("QUOTA_EXCEEDED",),
            idempotent=True,
            rpc=rpcs.of("FileService/UploadFile"),
        ),
        Operation(
            "GET",
            "/files",
            "listFiles",
            views.list_files,
            "List one's own files, or for admins those of everybody.",
            (Answer(200, "One page of files.", files.FilePage, FILE_PAGE),),
            query=files.FilesQuery,
            rpc=rpcs.of("FileService/ListFiles"),
        ),
    )


def _single_rows(views: FileViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/files/<id:id>",
            "getFile",
            views.get_file,
            "Show what is known of a file.",
            (Answer(200, "The file.", files.File, FILE, ("ETag",)),),
            problems=("FILE_NOT_FOUND",),
            conditional_read=True,
            rpc=rpcs.of("FileService/GetFile"),
        ),
        Operation(
            "GET",
            "/files/<id:id>/download",
            "getDownload",
            views.get_download,
            "Get a link by which a file can be downloaded for a while, without a token.",
            (Answer(200, "The link.", files.Download, DOWNLOAD),),
            problems=("FILE_NOT_FOUND",),
            rpc=rpcs.of("FileService/GetDownload"),
        ),
        Operation(
            "GET",
            "/files/<id:id>/content",
            "getFileContent",
            views.get_content,
            "Download a file, or a part of it, by a link.",
            (
                Answer(200, "The file.", _BYTES, None, _CONTENT_HEADERS, files.CONTENT_TYPES),
                Answer(
                    206,
                    "The range asked for.",
                    _BYTES,
                    None,
                    (*_CONTENT_HEADERS, "Content-Range"),
                    files.CONTENT_TYPES,
                ),
            ),
            description="Links are made by getDownload, and need no token besides their own. One "
            "range of bytes may be asked for by Range, and If-Range.",
            query=files.ContentQuery,
            problems=("FORBIDDEN", "FILE_NOT_FOUND", "RANGE_NOT_SATISFIABLE"),
            conditional_read=True,
            by_link=True,
            rpc=rpcs.of("FileService/DownloadFile"),
        ),
        Operation(
            "DELETE",
            "/files/<id:id>",
            "deleteFile",
            views.delete_file,
            "Delete a file.",
            (Answer(204, "It is gone."),),
            problems=("FILE_NOT_FOUND",),
            conditional_write=True,
            rpc=rpcs.of("FileService/DeleteFile"),
        ),
    )
